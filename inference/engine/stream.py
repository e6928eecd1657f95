"""The way from the engine's thread to the event loops of those who wait for tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TypeAlias

from inference.contracts import Event
from inference.errors import GenerationFailed

Delivery: TypeAlias = Event | GenerationFailed


class Stream:
    """The events of one sequence, for a consumer on the event loop that made it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Delivery] = asyncio.Queue()

    async def next(self) -> Event:
        """Waits for the next event. Raises the `GenerationFailed` that was delivered instead of one."""
        event = await self._events.get()
        if isinstance(event, GenerationFailed):
            raise event
        return event

    def put(self, event: Delivery) -> None:
        """To be called on the stream's own loop."""
        self._events.put_nowait(event)


def deliver(events: Iterable[tuple[Stream, Delivery]]) -> set[Stream]:
    """Hands events over from any thread, one wake-up per loop; gives the streams whose loop is closed."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Stream, Delivery]]] = {}
    for stream, event in events:
        by_loop.setdefault(stream.loop, []).append((stream, event))
    gone: set[Stream] = set()
    for loop, group in by_loop.items():
        try:
            loop.call_soon_threadsafe(_put_all, group)
        except RuntimeError:  # the loop is closed, and with it whoever waited on it
            gone.update(stream for stream, _ in group)
    return gone


def _put_all(group: list[tuple[Stream, Delivery]]) -> None:
    for stream, event in group:
        stream.put(event)
