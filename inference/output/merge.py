"""Several choices run at the same time; their events come as they are made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from typing import TypeAlias

from inference.contracts import Event, Events

Item: TypeAlias = tuple[int, Event | BaseException | None]
"""A stream's number and its event, the error it ended with, or None for its end."""


async def merge(
    streams: Sequence[Events], beat: float | None = None
) -> AsyncGenerator[tuple[int, Event] | None, None]:
    """Pairs of a stream's number and its next event, each stream in its own order; and None whenever `beat`
    seconds passed without one.

    The first error of a stream is raised here. Whenever this generator ends, by an error, by being closed or
    by itself, every stream has been cancelled, awaited and closed. As many events wait here as there are
    streams, then the streams are held up.
    """
    queue: asyncio.Queue[Item] = asyncio.Queue(maxsize=max(len(streams), 1))
    tasks = [asyncio.create_task(_pump(number, stream, queue)) for number, stream in enumerate(streams)]
    async with AsyncExitStack() as stack:
        for stream in streams:
            stack.push_async_callback(stream.aclose)
        stack.push_async_callback(_cancel, tasks)
        running = len(tasks)
        while running:
            if (item := await _next(queue, beat)) is None:
                yield None
                continue
            number, event = item
            if isinstance(event, BaseException):
                raise event
            if event is None:
                running -= 1
            else:
                yield number, event


async def _next(queue: asyncio.Queue[Item], beat: float | None) -> Item | None:
    if not queue.empty():  # a timer for every token would cost more than handing the token on
        return queue.get_nowait()
    try:
        async with asyncio.timeout(beat):
            return await queue.get()
    except TimeoutError:
        return None


async def _pump(number: int, stream: Events, queue: asyncio.Queue[Item]) -> None:
    try:
        async for event in stream:
            await queue.put((number, event))
    except (Exception, asyncio.CancelledError) as error:
        if _is_cancelled():
            raise
        await queue.put((number, error))
    else:
        await queue.put((number, None))


def _is_cancelled() -> bool:
    """Whether merge cancelled this task, rather than a stream raising `CancelledError` by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
