"""What an endpoint says of text, as events: one JSON body, or the chunks of a stream.

A choice ends with the reason it was given, and not without one. The usage is one for all choices and comes
last: it is told with the `Finish` of the first choice, and so no `Finish` is given before the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias
from uuid import uuid4

import orjson

from inference.api.sse import EventReader
from inference.backends.remote.response_logprobs import LogprobsReader, UnreadableLogprobs
from inference.backends.remote.upstream_errors import failed
from inference.contracts import (
    Event,
    Finish,
    FinishReason,
    ProxyRequest,
    Reasoning,
    ScoredToken,
    Text,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from inference.errors import UpstreamError

Placed: TypeAlias = tuple[int, Event]
"""A choice's index and its event."""

REASONS: Mapping[str, FinishReason] = {
    **{reason.value: reason for reason in FinishReason},
    "function_call": FinishReason.TOOL_CALLS,
    "tool_use": FinishReason.TOOL_CALLS,
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "max_length": FinishReason.LENGTH,
}
"""The API's words, and those of servers that call themselves compatible."""
DONE = b"[DONE]"


async def streamed(
    pieces: AsyncGenerator[bytes, None], request: ProxyRequest, name: str
) -> AsyncGenerator[Placed, None]:
    """The events of a stream as they come. Raises `UpstreamError` when it does not come to its end."""
    reader, said = EventReader(), ResponseReader(request, name)
    async for piece in pieces:
        for data in reader.feed(piece):
            if data.strip() == DONE:
                for event in said.ends():
                    yield event
                return
            for event in said.chunk(_parsed(data, name)):
                yield event
    # Some servers close without [DONE]; a stream in which every choice had its reason is whole all the same.
    for event in said.ends():
        yield event


def whole(body: Any, request: ProxyRequest, name: str) -> Iterator[Placed]:
    """The events that a whole answer stands for. Raises `UpstreamError` when it is none."""
    said = ResponseReader(request, name)
    yield from said.chunk(body)
    yield from said.ends()


class ResponseReader:
    """What was said so far, of all choices."""

    def __init__(self, request: ProxyRequest, name: str) -> None:
        asked = request.body.get("logprobs")
        self._choices = request.choices
        self._name = name
        self._route = request.route
        self._scored = asked is not None and asked is not False  # 0 asks too, for no alternatives
        self._scoring: defaultdict[int, LogprobsReader] = defaultdict(LogprobsReader)
        self._reasons: dict[int, FinishReason] = {}
        self._calls: set[tuple[int, int]] = set()
        self._usage: Usage | None = None
        self._pieces = 0

    def chunk(self, body: Any) -> Iterator[Placed]:
        """The events of one body. Raises `UpstreamError`, and `ContentFiltered` for a body that says so."""
        if not isinstance(body, dict):
            raise self._unsound("what is no object")
        if body.get("error"):
            raise failed(body["error"], self._name, self._route)
        if isinstance(usage := body.get("usage"), dict):
            self._usage = _usage(usage)
        choices = body.get("choices")
        if not isinstance(choices, list):
            if self._usage is None and choices is not None:
                raise self._unsound("choices that are no list")
            return
        for choice in choices:
            yield from self._choice(choice)

    def ends(self) -> Iterator[Placed]:
        """The ends of all choices. Raises `UpstreamError` when one has no reason."""
        if len(self._reasons) < self._choices:
            raise UpstreamError(f"The endpoint of {self._name} ended its answer without a reason.")
        # Without a count from there, pieces are the closest thing to tokens.
        usage = self._usage or Usage(0, self._pieces)
        for index in range(self._choices):
            yield index, Finish(self._reasons[index], self._share(index, usage))

    def _share(self, index: int, usage: Usage) -> Usage:
        """All of it counts for the first choice."""
        return usage if index == 0 else Usage()

    def _choice(self, choice: Any) -> Iterator[Placed]:
        index = choice.get("index", 0) if isinstance(choice, dict) else None
        if not isinstance(index, int) or not 0 <= index < self._choices:
            raise self._unsound(f"a choice with the index {index!r}")
        delta = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
        if not isinstance(delta, dict):
            raise self._unsound("a choice that is no object")
        scores = self._scores(index, choice.get("logprobs"))
        for event in _with(list(self._delta(index, delta)), scores):
            self._pieces += 1
            yield index, event
        if reason := choice.get("finish_reason"):
            if not isinstance(reason, str) or reason not in REASONS:
                raise UpstreamError(f"The endpoint of {self._name} ended its answer with {reason!s:.100}.")
            self._reasons[index] = REASONS[reason]

    def _scores(self, index: int, told: Any) -> tuple[ScoredToken, ...]:
        """None where they were not asked for, whatever the endpoint says unasked."""
        if not self._scored or told is None:
            return ()
        try:
            return self._scoring[index].read(told)
        except UnreadableLogprobs:
            raise self._unsound("log probabilities that cannot be read") from None

    def _delta(self, index: int, delta: Mapping[str, Any]) -> Iterator[Event]:
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str) and thought:
            yield Reasoning(thought)
        for name in ("content", "refusal"):
            text = delta.get(name)
            if isinstance(text, str) and text:
                yield Text(text)
        calls = delta.get("tool_calls") or []
        if not isinstance(calls, list):
            raise self._unsound("tool calls that are no list")
        for place, call in enumerate(calls):
            yield from self._call(index, place, call)

    def _call(self, index: int, place: int, call: Any) -> Iterator[Event]:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            raise self._unsound("a tool call that is no object")
        number = call.get("index")
        number = number if isinstance(number, int) else place
        if (index, number) not in self._calls:
            if not isinstance(function.get("name"), str):
                raise self._unsound("a tool call without a name")
            self._calls.add((index, number))
            yield ToolCallStart(number, str(call.get("id") or f"call_{uuid4().hex[:24]}"), function["name"])
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        if isinstance(arguments, str) and arguments:
            yield ToolCallArguments(number, arguments)

    def _unsound(self, what: str) -> UpstreamError:
        return UpstreamError(f"The endpoint of {self._name} answered with {what}.")


def _with(events: list[Event], scores: tuple[ScoredToken, ...]) -> Sequence[Event]:
    """The last text of the events with the scores; an empty one behind them where they have none."""
    if not scores:
        return events
    for place in reversed(range(len(events))):
        if isinstance(text := events[place], Text):
            return [*events[:place], replace(text, scores=scores), *events[place + 1 :]]
    return [*events, Text("", scores)]


def _parsed(data: bytes, name: str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        raise UpstreamError(f"The endpoint of {name} sent an event that is no JSON.") from None


def _usage(usage: Mapping[str, Any]) -> Usage:
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
    thoughts = _detail(usage, "completion_tokens_details", "reasoning_tokens")
    return Usage(
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        _count(cached),
        None if thoughts is None else _count(thoughts),
    )


def _detail(usage: Mapping[str, Any], part: str, name: str) -> Any:
    details = usage.get(part)
    return details.get(name) if isinstance(details, dict) else None


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
