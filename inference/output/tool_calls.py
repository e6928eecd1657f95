"""Tool calls: text in which a model writes calls becomes the events of the calls.

Each tool format reads its own text (`tool_formats/`); this stage applies the rules of all formats: the finish
reason, an end by the limits on calls, log probabilities no earlier than their text.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import replace

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
from inference.output.call_limits import CallLimits, LimitedCallReader
from inference.output.logprobs import PieceLogprobBuffer
from inference.tool_formats import CallReader

log = logging.getLogger(__name__)


SINGLE = CallLimits(most=1)
"""The limits of an answer that is over with its first call."""


async def parse_tool_calls(
    events: Events,
    reader: CallReader,
    *,
    usage: Callable[[], Usage] | None = None,
    limits: CallLimits = SINGLE,
) -> Events:
    """Yield the events with `Text` parsed into `Text`, `ToolCallStart` and `ToolCallArguments`.

    After at least one call, a `Finish` with the reason stop gets the reason tool_calls; any other reason
    stays. With `usage`, which returns the usage so far, the answer ends by its limits: the model is closed
    and the stream ends with that usage. Other events pass where they stand.
    """
    limited = LimitedCallReader(reader, CallLimits() if usage is None else limits)
    scores, called = PieceLogprobBuffer(), False
    async with aclosing(events):
        async for event in events:
            parts = _read(limited, scores, event)
            pending = 0 if isinstance(event, Finish) else limited.pending
            for part in scores.attach(parts, pending):
                called = called or isinstance(part, ToolCallStart)
                yield part
            if isinstance(event, Finish):
                yield _finish(event, called=called)
                return
            if usage is not None and limited.over:
                break
        else:
            return
    yield Finish(FinishReason.TOOL_CALLS, usage())


def _read(reader: CallReader, scores: PieceLogprobBuffer, event: Event) -> Sequence[Event]:
    match event:
        case Text(text):
            scores.push(event)
            return reader.push(text)
        case Finish():
            return reader.flush(cut=event.reason is not FinishReason.STOP)
        case _:
            return [event]


def _finish(finish: Finish, *, called: bool) -> Finish:
    if called and finish.reason is FinishReason.STOP:
        return Finish(FinishReason.TOOL_CALLS, finish.usage)
    return finish


async def only_offered_calls(events: Events, offered: Collection[str]) -> Events:
    """Yield the events without calls of tools that were not offered, whose names are a model's own text.

    The calls that remain are numbered anew. An answer without any ends with the reason stop.
    """
    numbers: dict[int, int] = {}
    dropped = False
    async with aclosing(events):
        async for event in events:
            match event:
                case ToolCallStart() if event.name not in offered:
                    dropped = True
                    log.warning("A call of a tool that was not offered is left out")
                case ToolCallStart(index):
                    yield replace(event, index=numbers.setdefault(index, len(numbers)))
                case ToolCallArguments(index):
                    if index in numbers:
                        yield replace(event, index=numbers[index])
                case Finish(FinishReason.TOOL_CALLS) if dropped and not numbers:
                    yield replace(event, reason=FinishReason.STOP)
                case _:
                    yield event
