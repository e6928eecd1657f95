"""The choices of a request: folded into whole answers, or merged into one stream as their events come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any, TypeAlias

from inference.cancellation import cancel, finish
from inference.contracts import (
    CompletedChoice,
    CompletedToolCall,
    Event,
    Events,
    FilterResult,
    Finish,
    Reasoning,
    ScoredToken,
    Text,
    ToolCallArguments,
    ToolCallStart,
)
from inference.errors import GenerationFailed


async def fold(events: Events) -> CompletedChoice:
    """Return the answer that the events add up to.

    Raises `GenerationFailed` when they end without a `Finish`.
    """
    choice = _ChoiceBuilder()
    async with aclosing(events):
        async for event in events:
            choice.add(event)
    return choice.build()


class _ChoiceBuilder:
    """The parts of an answer whose events are still coming."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._scores: list[ScoredToken] = []
        self._calls: dict[int, ToolCallStart] = {}
        self._arguments: dict[int, list[str]] = {}
        self._filter_results: Mapping[str, Any] | None = None
        self._finish: Finish | None = None

    def add(self, event: Event) -> None:
        match event:
            case Text(piece, scores):
                self._text.append(piece)
                self._scores += scores
            case Reasoning(piece):
                self._reasoning.append(piece)
            case ToolCallStart(index):
                self._calls[index], self._arguments[index] = event, []
            case ToolCallArguments(index, piece):
                self._arguments[index].append(piece)
            case FilterResult(results):
                self._filter_results = results
            case Finish():
                self._finish = event

    def build(self) -> CompletedChoice:
        if self._finish is None:
            raise GenerationFailed("The model's answer ended without a finish reason.")
        calls = tuple(
            CompletedToolCall(call.id, call.name, "".join(self._arguments[index]))
            for index, call in sorted(self._calls.items())
        )
        return CompletedChoice(
            _joined(self._text),
            _joined(self._reasoning),
            calls,
            self._finish.reason,
            self._finish.usage,
            self._filter_results,
            tuple(self._scores),
        )


def _joined(pieces: list[str]) -> str | None:
    return "".join(pieces) if pieces else None


Item: TypeAlias = tuple[int, Event | BaseException | None]
"""A stream's index and its event, the error it ended with, or None for its end."""


async def merge(
    streams: Sequence[Events], heartbeat: float | None = None
) -> AsyncGenerator[tuple[int, Event] | None, None]:
    """Yield pairs of a stream's index and its next event, and None after `heartbeat` seconds without one.

    The events of each stream keep their sequence. The first error of a stream is raised here. Whenever this
    generator ends, by an error, by being closed or by itself, every stream has been cancelled, awaited and
    closed. The queue takes as many events as there are streams; beyond that the streams wait.
    """
    queue: asyncio.Queue[Item] = asyncio.Queue(maxsize=max(len(streams), 1))
    tasks = [asyncio.create_task(_pump(index, stream, queue)) for index, stream in enumerate(streams)]
    running = len(tasks)
    try:
        while running:
            if (item := await _next(queue, heartbeat)) is None:
                yield None
                continue
            index, event = item
            if isinstance(event, BaseException):
                raise event
            if event is None:
                running -= 1
            else:
                yield index, event
    finally:
        await finish(_close(tasks, streams))


async def _next(queue: asyncio.Queue[Item], heartbeat: float | None) -> Item | None:
    if not queue.empty():  # a timer for every token would cost more than passing the token on
        return queue.get_nowait()
    try:
        async with asyncio.timeout(heartbeat):
            return await queue.get()
    except TimeoutError:
        return None


async def _pump(index: int, stream: Events, queue: asyncio.Queue[Item]) -> None:
    try:
        async for event in stream:
            await queue.put((index, event))
    except (Exception, asyncio.CancelledError) as error:
        if _is_cancelled():
            raise
        await queue.put((index, error))
    else:
        await queue.put((index, None))


def _is_cancelled() -> bool:
    """Return True if `merge` cancelled this task, False if a stream raised `CancelledError` by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _close(tasks: Sequence[asyncio.Task[None]], streams: Sequence[Events]) -> None:
    """Cancel the tasks, then close every stream, whichever of them fails."""
    async with AsyncExitStack() as stack:
        for stream in streams:
            stack.push_async_callback(stream.aclose)
        await cancel(*tasks)
