"""The events of an answer: the tokens of a model, and the pieces that its caller sees."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Any, TypeAlias


class FinishReason(StrEnum):
    """The reason for the end of a stream, in the words of the wire."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    TOOL_CALLS = "tool_calls"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens counted for one sequence; usages add up over the sequences of a request."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int | None = None
    """Tokens of the completion that were reasoning; None for a model without reasoning."""

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            _sum(self.reasoning_tokens, other.reasoning_tokens),
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one + (other or 0)


@dataclass(frozen=True, slots=True)
class PositionLogprobs:
    """The log probabilities at one position.

    Natural logarithms of the model's own distribution, before bias, penalties, temperature and constraints.
    """

    chosen: float
    top: tuple[tuple[int, float], ...]
    """Token ids and their log probabilities, the most likely first."""


@dataclass(frozen=True, slots=True)
class Prefilled:
    """The end of the prefill: the first event of a stream that has any `Token`."""

    cached_tokens: int
    """The prompt's tokens that were known from an earlier prompt."""
    logprobs: tuple[PositionLogprobs, ...] = ()
    """Those of the prompt's tokens from the second on, where the request wants them."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token the model produced. Stop tokens are no events."""

    id: int
    logprobs: PositionLogprobs | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token as a reader sees it, with its log probability; the first of a prompt has none."""

    text: str
    data: bytes
    """The bytes of the token: part of a character, where `text` can only be U+FFFD."""
    logprob: float | None


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A token of the text with its log probability and those of its alternatives."""

    token: TokenLogprob
    top: tuple[TokenLogprob, ...]
    offset: int
    """Characters of the choice's text before it."""


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer, cut between characters."""

    text: str
    scores: tuple[ScoredToken, ...] = ()
    """The tokens that end in this piece or before it, where the request wants log probabilities. A stage that
    takes text apart hands them on no earlier than the last of the text they came with."""
    refusal: bool = False
    """True for the words by which a model at another endpoint refuses, where that sends them apart."""


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of the reasoning before the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallStart:
    """The start of a tool call; its arguments follow as `ToolCallArguments` of the same index."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolCallArguments:
    """A piece of the JSON text of a call's arguments."""

    index: int
    arguments: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The last event of a stream."""

    reason: FinishReason
    usage: Usage


@dataclass(frozen=True, slots=True)
class FilterResult:
    """The content filter's result for the choice's next event, in the wire's words."""

    results: Mapping[str, Any]
    offsets: Mapping[str, int] | None = None
    """The characters of the choice that it is about, where they were shown before they were judged."""
    failed: bool = False
    """True if the filter could not judge, which ends the answer."""
    retry_after: float | None = None
    """Seconds after which a filter that failed may judge again, where it knows."""


Event: TypeAlias = (
    Token | Prefilled | Text | Reasoning | ToolCallStart | ToolCallArguments | FilterResult | Finish
)
Events: TypeAlias = AsyncGenerator[Event, None]


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
