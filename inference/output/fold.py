"""A whole answer is a fold over the events of a streamed one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from math import inf
from typing import Any

from inference.contracts import (
    Events,
    FilterResult,
    Finish,
    FinishReason,
    Reasoning,
    ScoredToken,
    Text,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from inference.errors import GenerationFailed


@dataclass(frozen=True, slots=True)
class CompletedToolCall:
    """One call: its id, the tool's name and the JSON text of its arguments, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class CompletedChoice:
    """A whole answer; `text` and `reasoning` are None where there was none."""

    text: str | None
    reasoning: str | None
    tool_calls: tuple[CompletedToolCall, ...]
    reason: FinishReason
    usage: Usage
    judged: Mapping[str, Any] | None = None
    """What the content filter says of it, where it says anything."""
    scores: tuple[ScoredToken, ...] = ()
    """Of its tokens, an echoed prompt's among them, where log probabilities were asked for."""

    @property
    def likelihood(self) -> float:
        """The mean log probability of the answer's tokens; minus infinity where none is told."""
        said = [score.token.logprob for score in self.scores if score.token.logprob is not None]
        return sum(said) / len(said) if said else -inf


async def fold(events: Events) -> CompletedChoice:
    """The answer that the events make. Raises `GenerationFailed` when they end without a `Finish`."""
    text: list[str] = []
    reasoning: list[str] = []
    starts: dict[int, ToolCallStart] = {}
    arguments: dict[int, list[str]] = {}
    finish: Finish | None = None
    judged: Mapping[str, Any] | None = None
    scores: list[ScoredToken] = []
    async with aclosing(events):
        async for event in events:
            match event:
                case Text(piece, scored):
                    text.append(piece)
                    scores += scored
                case Reasoning(piece):
                    reasoning.append(piece)
                case ToolCallStart(index):
                    starts[index], arguments[index] = event, []
                case ToolCallArguments(index, piece):
                    arguments[index].append(piece)
                case FilterResult(results):
                    judged = results
                case Finish():
                    finish = event
    if finish is None:
        raise GenerationFailed("The model ended its answer without a reason.")
    calls = tuple(
        CompletedToolCall(start.id, start.name, "".join(arguments[n])) for n, start in sorted(starts.items())
    )
    return CompletedChoice(
        _joined(text), _joined(reasoning), calls, finish.reason, finish.usage, judged, tuple(scores)
    )


def _joined(pieces: list[str]) -> str | None:
    return "".join(pieces) if pieces else None
