"""Fan-out of one exchange with an endpoint to as many streams of events as it has choices.

A single choice iterates over the exchange itself. Of several, the first to be iterated starts a task that
reads the exchange and queues each event for its choice. Each queue holds at most `QUEUE_SIZE` events; when
one is full, reading stops until its choice takes the next, so the slowest choice holds up the others and
memory stays bounded. A closed choice is no longer waited for; when every choice that started has closed, the
exchange is cancelled. The choices must be iterated concurrently.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeAlias

from inference.backends.remote.response_events import ChoiceEvent
from inference.contracts import Event, Events
from inference.errors import UpstreamError

Exchange: TypeAlias = Callable[[], AsyncGenerator[ChoiceEvent, None]]
"""A function that starts the exchange and returns its events."""

QUEUE_SIZE = 64
"""Events of one choice that wait to be taken."""


def fan_out(exchange: Exchange, choices: int) -> list[Events]:
    """Return the events of every choice; each stream raises the errors of the exchange."""
    if choices == 1:
        return [_single(exchange)]
    shared = _SharedExchange(exchange, choices)
    return [shared.choice(index) for index in range(choices)]


async def _single(exchange: Exchange) -> Events:
    async with aclosing(exchange()) as events:
        async for _, event in events:
            yield event


Item: TypeAlias = Event | BaseException | None
"""An event, the error that ended the exchange, or None for its regular end."""


class _SharedExchange:
    """One exchange, read by a task into a queue for each choice."""

    def __init__(self, exchange: Exchange, choices: int) -> None:
        self._exchange = exchange
        self._queues: list[asyncio.Queue[Item]] = [asyncio.Queue(QUEUE_SIZE) for _ in range(choices)]
        self._active: set[int] = set()
        self._closed: set[int] = set()
        self._reader: asyncio.Task[None] | None = None

    async def choice(self, index: int) -> Events:
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        elif self._reader.cancelled():
            raise UpstreamError("The request to the endpoint was cancelled before this choice was read.")
        queue = self._queues[index]
        self._active.add(index)
        try:
            while (item := await queue.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            await self._close(index)

    async def _close(self, index: int) -> None:
        self._active.discard(index)
        self._closed.add(index)
        queue = self._queues[index]
        while not queue.empty():
            queue.get_nowait()
        if not self._active and self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        end: Item = None
        try:
            async with aclosing(self._exchange()) as events:
                async for index, event in events:
                    await self._put(index, event)
        except Exception as error:  # noqa: BLE001  raised again by the stream of each choice
            end = error
        for index in range(len(self._queues)):
            await self._put(index, end)

    async def _put(self, index: int, item: Item) -> None:
        """Wait while the queue of a choice is full; items of a closed choice are dropped."""
        if index not in self._closed:
            await self._queues[index].put(item)
