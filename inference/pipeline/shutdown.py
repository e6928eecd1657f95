"""The end of serving: requests that wait are refused, running ones may finish within a limit."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import aclosing
from types import FrameType, TracebackType

from inference.contracts import Event, Events
from inference.errors import ShuttingDown


class Shutdown:
    """The state of a process that serves until a shutdown begins. It belongs to one event loop."""

    def __init__(self, seconds: float) -> None:
        """Let running answers finish within that many seconds."""
        self._seconds = seconds
        self._begun: float | None = None
        """The loop's time at the beginning of the shutdown."""
        self._parts: set[InterruptiblePart] = set()

    @property
    def has_begun(self) -> bool:
        """True once the process is being stopped."""
        return self._begun is not None

    def begin(self) -> None:
        """Refuse what waits, and set the limit of what runs; later calls change nothing."""
        if self._begun is None:
            self._begun = asyncio.get_running_loop().time()
            for part in self._parts:
                part.reschedule()

    def part(self, *, running: bool = False) -> InterruptiblePart:
        """Return a context manager for the part of a request that a shutdown may interrupt."""
        return InterruptiblePart(self, running=running)

    def limit_of(self, *, running: bool) -> float | None:
        """Return the loop's time at which a part ends; None while no shutdown has begun."""
        if self._begun is None:
            return None
        return self._begun + self._seconds if running else self._begun

    def enter(self, part: InterruptiblePart) -> None:
        """Count a part among those that a shutdown interrupts."""
        self._parts.add(part)

    def leave(self, part: InterruptiblePart) -> None:
        """Forget a part that is over."""
        self._parts.discard(part)

    async def stream(self, events: Events, request: InterruptiblePart) -> Events:
        """Yield events; from the first one on the request counts as running.

        Raises `ShuttingDown` in place of an event that has not come when the shutdown's limit is over.
        """
        running = False
        async with aclosing(events):
            while True:
                async with self.part(running=running):
                    event: Event | None = await anext(events, None)
                if event is None:
                    return
                if not running:
                    running = True
                    request.run()
                yield event


class InterruptiblePart:
    """The part of a request that a shutdown may interrupt with `ShuttingDown`: at once, or at its limit."""

    def __init__(self, shutdown: Shutdown, *, running: bool) -> None:
        """Belong to a shutdown; `running` parts may go on until its limit."""
        self._shutdown = shutdown
        self._running = running
        self._timeout = asyncio.Timeout(None)
        self._entered = False

    def run(self) -> None:
        """Count as running from now on."""
        self._running = True
        if self._entered:
            self.reschedule()

    def reschedule(self) -> None:
        """Take the limit of the shutdown that has begun."""
        if not self._timeout.expired():
            self._timeout.reschedule(self._shutdown.limit_of(running=self._running))

    async def __aenter__(self) -> InterruptiblePart:
        await self._timeout.__aenter__()
        self._entered = True
        self._shutdown.enter(self)
        self.reschedule()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._entered = False
        self._shutdown.leave(self)
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise ShuttingDown from None


ENDING = (signal.SIGINT, signal.SIGTERM)


class BeginsShutdown:
    """A handler of a signal that begins a shutdown and goes on to the handler that was there before."""

    def __init__(self, shutdown: Shutdown, number: signal.Signals) -> None:
        """Wrap the present handler of a signal. Runs on the event loop of the requests."""
        self._shutdown = shutdown
        self._loop = asyncio.get_running_loop()
        self._previous = signal.getsignal(number)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Begin the shutdown; a second signal changes nothing here."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._shutdown.begin)
        if callable(self._previous):
            self._previous(number, frame)


def drain_on_signals(shutdown: Shutdown) -> None:
    """Let SIGTERM and SIGINT begin a shutdown, where a server on this event loop handles them already.

    Both hosts run uvicorn, whose handlers wait for open responses; without one the process just ends. Later
    calls change nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in ENDING:
        handler = signal.getsignal(number)
        if not callable(handler) or handler is signal.default_int_handler:
            continue
        if not isinstance(handler, BeginsShutdown):
            signal.signal(number, BeginsShutdown(shutdown, number))


def end_after(seconds: float, number: int) -> None:
    """End this process with a signal's exit code if it still runs after that time.

    A model that is being opened in a thread cannot be interrupted.
    """
    timer = threading.Timer(seconds, os._exit, (128 + number,))
    timer.daemon = True
    timer.start()
