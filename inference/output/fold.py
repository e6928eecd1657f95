"""The whole answer of a choice, folded from the events of its stream."""

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
    """A whole answer; `text` and `reasoning` are None where the model wrote none."""

    text: str | None
    reasoning: str | None
    tool_calls: tuple[CompletedToolCall, ...]
    reason: FinishReason
    usage: Usage
    judged: Mapping[str, Any] | None = None
    """The content filter's results, None where it reports none."""
    scores: tuple[ScoredToken, ...] = ()
    """The choice's tokens with their log probabilities, those of an echoed prompt included; empty unless the
    request wants log probabilities."""

    @property
    def likelihood(self) -> float:
        """The mean log probability of the tokens; minus infinity where none is known."""
        logprobs = [score.token.logprob for score in self.scores if score.token.logprob is not None]
        return sum(logprobs) / len(logprobs) if logprobs else -inf


async def fold(events: Events) -> CompletedChoice:
    """Return the answer that the events add up to.

    Raises `GenerationFailed` when they end without a `Finish`.
    """
    text: list[str] = []
    reasoning: list[str] = []
    starts: dict[int, ToolCallStart] = {}
    arguments: dict[int, list[str]] = {}
    finish: Finish | None = None
    filter_results: Mapping[str, Any] | None = None
    scores: list[ScoredToken] = []
    async with aclosing(events):
        async for event in events:
            match event:
                case Text(piece, piece_scores):
                    text.append(piece)
                    scores += piece_scores
                case Reasoning(piece):
                    reasoning.append(piece)
                case ToolCallStart(index):
                    starts[index], arguments[index] = event, []
                case ToolCallArguments(index, piece):
                    arguments[index].append(piece)
                case FilterResult(results):
                    filter_results = results
                case Finish():
                    finish = event
    if finish is None:
        raise GenerationFailed("The model's answer ended without a finish reason.")
    calls = tuple(
        CompletedToolCall(start.id, start.name, "".join(arguments[index]))
        for index, start in sorted(starts.items())
    )
    return CompletedChoice(
        _joined(text), _joined(reasoning), calls, finish.reason, finish.usage, filter_results, tuple(scores)
    )


def _joined(pieces: list[str]) -> str | None:
    return "".join(pieces) if pieces else None
