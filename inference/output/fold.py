"""The whole answer of a choice, folded from the events of its stream."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from math import inf
from typing import Any

from inference.contracts import (
    Event,
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
    filter_results: Mapping[str, Any] | None = None
    """The content filter's results, None where it reports none."""
    scores: tuple[ScoredToken, ...] = ()
    """The choice's tokens with their log probabilities, those of an echoed prompt included; empty unless the
    request turns log probabilities on."""

    @property
    def mean_logprob(self) -> float:
        """The mean log probability of the tokens; minus infinity where none is known."""
        logprobs = [score.token.logprob for score in self.scores if score.token.logprob is not None]
        return sum(logprobs) / len(logprobs) if logprobs else -inf


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
