"""The signals that end a process: the shutdown begins with them, and its end is certain."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.pipeline.shutdown import Shutdown

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
