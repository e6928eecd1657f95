"""A whole answer is a fold over the events of a streamed one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from inference.contracts import (
    Events,
    Finish,
    FinishReason,
    Judged,
    Reasoning,
    Text,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from inference.errors import GenerationFailed


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call: its id, the tool's name and the JSON text of its arguments, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; `text` and `reasoning` are None where there was none."""

    text: str | None
    reasoning: str | None
    tool_calls: tuple[ToolCall, ...]
    reason: FinishReason
    usage: Usage
    judged: Mapping[str, Any] | None = None
    """What the content filter says of it, where it says anything."""


async def fold(events: Events) -> Reply:
    """The answer that the events make. Raises `GenerationFailed` when they end without a `Finish`."""
    text: list[str] = []
    reasoning: list[str] = []
    starts: dict[int, ToolCallStart] = {}
    arguments: dict[int, list[str]] = {}
    finish: Finish | None = None
    judged: Mapping[str, Any] | None = None
    async with aclosing(events):
        async for event in events:
            match event:
                case Text(piece):
                    text.append(piece)
                case Reasoning(piece):
                    reasoning.append(piece)
                case ToolCallStart(index):
                    starts[index], arguments[index] = event, []
                case ToolCallArguments(index, piece):
                    arguments[index].append(piece)
                case Judged(results):
                    judged = results
                case Finish():
                    finish = event
    if finish is None:
        raise GenerationFailed("The model ended its answer without a reason.")
    calls = tuple(
        ToolCall(start.id, start.name, "".join(arguments[n])) for n, start in sorted(starts.items())
    )
    return Reply(_joined(text), _joined(reasoning), calls, finish.reason, finish.usage, judged)


def _joined(pieces: list[str]) -> str | None:
    return "".join(pieces) if pieces else None
