"""Text in which a model writes calls of tools becomes the calls.

How it writes them is its dialect's matter (`dialects/`); here is what holds for all: the reason an answer
ends with, one call where only one may be, and log probabilities that stay behind their text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing

from inference.contracts import (
    Event,
    Events,
    Finish,
    FinishReason,
    Text,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from inference.output.logprobs import LogprobBuffer
from inference.tool_formats import CallReader


async def tool_calls(
    events: Events, reader: CallReader, *, spent: Callable[[], Usage] | None = None
) -> Events:
    """Takes `Text`; gives `Text`, and `ToolCallStart` and `ToolCallArguments` for each call.

    A `Finish` with the reason stop gets the reason tool_calls when there was at least one; one cut by its
    length stays so. With `spent`, which tells the usage so far, the answer is over when its first call is:
    the model is closed and the stream ends with that usage. Other events pass where they stand.
    """
    scores, called = LogprobBuffer(), False
    async with aclosing(events):
        async for event in events:
            parts = _read(reader, scores, event)
            if spent is not None:
                parts = list(_first_call(parts, begun=called))
            held = 0 if isinstance(event, Finish) else reader.held
            for part in scores.attached(parts, held):
                called = called or isinstance(part, ToolCallStart)
                yield part
            if isinstance(event, Finish):
                yield _finish(event, called=called)
                return
            if spent is not None and reader.ended:
                break
        else:
            return
    yield Finish(FinishReason.TOOL_CALLS, spent())


def _read(reader: CallReader, scores: LogprobBuffer, event: Event) -> Sequence[Event]:
    match event:
        case Text(text):
            scores.push(event)
            return reader.push(text)
        case Finish():
            return reader.flush()
        case _:
            return [event]


def _first_call(parts: Sequence[Event], *, begun: bool) -> Iterator[Event]:
    """The parts up to the end of the first call."""
    for part in parts:
        if begun and not isinstance(part, ToolCallArguments):
            return
        begun = begun or isinstance(part, ToolCallStart)
        yield part


def _finish(finish: Finish, *, called: bool) -> Finish:
    if called and finish.reason is FinishReason.STOP:
        return Finish(FinishReason.TOOL_CALLS, finish.usage)
    return finish
