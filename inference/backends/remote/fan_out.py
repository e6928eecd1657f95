"""One exchange with an endpoint, as many streams of events as it has choices.

A single choice reads the exchange itself. Of several, whichever is asked first begins it; a task reads, and
puts each event before its choice. `AHEAD` events wait there at most: then nothing is read until that choice
is asked again, so the slowest holds the others up and memory stays bounded. A choice that is closed is no
longer waited for; when nobody takes any more, the exchange is given up. The choices are to be taken side by
side.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeAlias

from inference.backends.remote.response_events import Placed
from inference.contracts import Event, Events
from inference.errors import UpstreamError

Begin: TypeAlias = Callable[[], AsyncGenerator[Placed, None]]

AHEAD = 64
"""Events of one choice that wait for it."""


def fan(begin: Begin, choices: int) -> list[Events]:
    """The events of every choice. Each raises what the exchange raises."""
    if choices == 1:
        return [_alone(begin)]
    shared = _Shared(begin, choices)
    return [shared.choice(index) for index in range(choices)]


async def _alone(begin: Begin) -> Events:
    async with aclosing(begin()) as placed:
        async for _, event in placed:
            yield event


Item: TypeAlias = Event | BaseException | None
"""An event, the error that the exchange ended with, or None for its end."""


class _Shared:
    def __init__(self, begin: Begin, choices: int) -> None:
        self._begin = begin
        self._queues: list[asyncio.Queue[Item]] = [asyncio.Queue(AHEAD) for _ in range(choices)]
        self._taking: set[int] = set()
        self._closed: set[int] = set()
        self._reading: asyncio.Task[None] | None = None

    async def choice(self, index: int) -> Events:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        elif self._reading.cancelled():
            raise UpstreamError("The exchange was given up before this choice was asked for.")
        queue = self._queues[index]
        self._taking.add(index)
        try:
            while (item := await queue.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            await self._close(index)

    async def _close(self, index: int) -> None:
        self._taking.discard(index)
        self._closed.add(index)
        queue = self._queues[index]
        while not queue.empty():
            queue.get_nowait()
        if not self._taking and self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        end: Item = None
        try:
            async with aclosing(self._begin()) as placed:
                async for index, event in placed:
                    await self._give(index, event)
        except Exception as error:  # noqa: BLE001  raised again where the events are taken
            end = error
        for index in range(len(self._queues)):
            await self._give(index, end)

    async def _give(self, index: int, item: Item) -> None:
        """Waits while the choice has enough before it; what nobody takes any more is let go."""
        if index not in self._closed:
            await self._queues[index].put(item)
