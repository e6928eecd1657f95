"""The events of an endpoint's answer: of one JSON body, or of server-sent events in pieces cut anywhere."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias
from uuid import uuid4

import orjson

from inference.backends.remote.response_logprobs import LogprobsReader, UnreadableLogprobs
from inference.backends.remote.upstream_errors import malformed_response, stream_error
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

LARGEST = 16 * 1024 * 1024
"""Bytes of one event; an endpoint that never ends one must not fill the memory."""
LINE_END = re.compile(rb"\r\n|\n|\r")
BOM = b"\xef\xbb\xbf"


class EventReader:
    """A reader of a stream that comes in pieces cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._started = False
        self._after_cr = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the data of every event that ends in this piece, in order. Raises `UpstreamError`."""
        for line in self._lines(piece):
            if line:
                self._take(line)
            elif self._data:
                data, self._data, self._size = b"\n".join(self._data), [], 0
                yield data

    def _lines(self, piece: bytes) -> Iterator[bytes]:
        if self._after_cr and piece:
            # A line that ends with CR is complete at once; an LF that follows belongs to its end.
            piece, self._after_cr = piece.removeprefix(b"\n"), False
        *lines, self._rest = LINE_END.split(self._rest + piece)
        if piece.endswith(b"\r"):
            self._after_cr = True
        if len(self._rest) > LARGEST:
            raise UpstreamError("The endpoint sent an event of more than 16 MiB.")
        for line in lines:
            yield line if self._started else line.removeprefix(BOM)
            self._started = True

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name != b"data":
            return
        self._data.append(value.removeprefix(b" "))
        self._size += len(value)
        if self._size > LARGEST:
            raise UpstreamError("The endpoint sent an event of more than 16 MiB.")


ChoiceEvent: TypeAlias = tuple[int, Event]
"""The index of a choice, and one of its events."""

FINISH_REASONS: Mapping[str, FinishReason] = {
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
"""The finish reasons of the API, and those of servers compatible with OpenAI's."""
DONE = b"[DONE]"
CALL_ID = re.compile(r"[\w.:+/=-]{1,128}", re.ASCII)
"""An id in one word; any other text is no id, and is replaced by one."""


async def parse_stream(
    chunks: AsyncGenerator[bytes, None], request: ProxyRequest, name: str
) -> AsyncGenerator[ChoiceEvent, None]:
    """Yield the events of a stream as they come. Raises `UpstreamError` if it is malformed or cut off."""
    sse_reader, response = EventReader(), ResponseReader(request, name)
    async for chunk in chunks:
        for data in sse_reader.feed(chunk):
            if data.strip() == DONE:
                for event in response.finish():
                    yield event
                return
            for event in response.read(_parse_json(data, name)):
                yield event
    # Some servers close without [DONE]; a stream in which every choice has its reason is complete.
    for event in response.finish():
        yield event


def parse_response(body: Any, request: ProxyRequest, name: str) -> Iterator[ChoiceEvent]:
    """Yield the events of a whole response. Raises `UpstreamError` if it is malformed."""
    response = ResponseReader(request, name)
    yield from response.read(body)
    yield from response.finish()


class ResponseReader:
    """The state of one response over its bodies: usage, finish reasons and started calls of all choices."""

    def __init__(self, request: ProxyRequest, name: str) -> None:
        logprobs = request.body.get("logprobs")
        self._choices = request.choices
        self._name = name
        self._route = request.route
        # 0 asks for log probabilities too, without alternatives.
        self._scored = logprobs is not None and logprobs is not False
        self._logprobs: defaultdict[int, LogprobsReader] = defaultdict(LogprobsReader)
        self._reasons: dict[int, FinishReason] = {}
        self._calls: set[tuple[int, int]] = set()
        self._usage: Usage | None = None
        self._events = 0

    def read(self, body: Any) -> Iterator[ChoiceEvent]:
        """Yield the events of one body.

        Raises:
            UpstreamError: The body is malformed or an error.
            ContentFiltered: The body is an error of the endpoint's content filter.
        """
        if not isinstance(body, dict):
            raise self._malformed("something other than an object")
        if body.get("error"):
            raise stream_error(body["error"], self._name, self._route)
        if isinstance(usage := body.get("usage"), dict):
            self._usage = _usage(usage)
        choices = body.get("choices")
        if not isinstance(choices, list):
            if self._usage is None and choices is not None:
                raise self._malformed("choices that are not a list")
            return
        for choice in choices:
            yield from self._read_choice(choice)

    def finish(self) -> Iterator[ChoiceEvent]:
        """Yield the `Finish` of every choice. Raises `UpstreamError` if one has no finish reason."""
        if len(self._reasons) < self._choices:
            raise UpstreamError(f"The endpoint of {self._name} ended its answer without a finish reason.")
        # Without the endpoint's count, events are the closest to a number of tokens.
        usage = self._usage or Usage(0, self._events)
        for index in range(self._choices):
            yield index, Finish(self._reasons[index], usage if index == 0 else Usage())

    def _read_choice(self, choice: Any) -> Iterator[ChoiceEvent]:
        index = choice.get("index", 0) if isinstance(choice, dict) else None
        if not isinstance(index, int) or not 0 <= index < self._choices:
            raise self._malformed(f"a choice with the index {index!r}")
        delta = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
        if not isinstance(delta, dict):
            raise self._malformed("a choice that is not an object")
        scores = self._read_logprobs(index, choice.get("logprobs"))
        for event in _attach(scores, list(self._read_delta(index, delta))):
            self._events += 1
            yield index, event
        if reason := choice.get("finish_reason"):
            if not isinstance(reason, str) or reason not in FINISH_REASONS:
                raise self._malformed(f"the unknown finish reason {reason!s:.100}")
            self._reasons[index] = FINISH_REASONS[reason]

    def _read_logprobs(self, index: int, logprobs: Any) -> tuple[ScoredToken, ...]:
        """Return the scored tokens of a choice, none if the caller did not ask for them."""
        if not self._scored or logprobs is None:
            return ()
        try:
            return self._logprobs[index].read(logprobs)
        except UnreadableLogprobs:
            raise self._malformed("log probabilities that cannot be read") from None

    def _read_delta(self, index: int, delta: Mapping[str, Any]) -> Iterator[Event]:
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str) and reasoning:
            yield Reasoning(reasoning)
        for name in ("content", "refusal"):
            text = delta.get(name)
            if isinstance(text, str) and text:
                yield Text(text, refusal=name == "refusal")
        calls = delta.get("tool_calls") or []
        if not isinstance(calls, list):
            raise self._malformed("tool calls that are not a list")
        for position, call in enumerate(calls):
            yield from self._read_call(index, position, call)

    def _read_call(self, index: int, position: int, call: Any) -> Iterator[Event]:
        """Yield the events of a call; whole responses have no index in it, and so it is its position."""
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            raise self._malformed("a tool call that is not an object")
        number = call.get("index")
        number = number if isinstance(number, int) else position
        if (index, number) not in self._calls:
            if not isinstance(function.get("name"), str):
                raise self._malformed("a tool call without a name")
            self._calls.add((index, number))
            yield ToolCallStart(number, _call_id(call.get("id")), function["name"])
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        if isinstance(arguments, str) and arguments:
            yield ToolCallArguments(number, arguments)

    def _malformed(self, found: str) -> UpstreamError:
        return malformed_response(self._name, found)


def _call_id(value: Any) -> str:
    """Return an endpoint's id of a call, a new one in place of a text that is none."""
    text = str(value or "")
    return text if CALL_ID.fullmatch(text) else f"call_{uuid4().hex[:24]}"


def _attach(scores: tuple[ScoredToken, ...], events: list[Event]) -> Sequence[Event]:
    """Return the events with the scores in their last text, or in an empty text at the end."""
    if not scores:
        return events
    for position in reversed(range(len(events))):
        if isinstance(text := events[position], Text):
            return [*events[:position], replace(text, scores=scores), *events[position + 1 :]]
    return [*events, Text("", scores)]


def _parse_json(data: bytes, name: str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        raise UpstreamError(f"The endpoint of {name} sent an event that is not JSON.") from None


def _usage(usage: Mapping[str, Any]) -> Usage:
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
    reasoning = _detail(usage, "completion_tokens_details", "reasoning_tokens")
    return Usage(
        token_count(usage.get("prompt_tokens")),
        token_count(usage.get("completion_tokens")),
        token_count(cached),
        None if reasoning is None else token_count(reasoning),
    )


def _detail(usage: Mapping[str, Any], part: str, name: str) -> Any:
    details = usage.get(part)
    return details.get(name) if isinstance(details, dict) else None


def token_count(value: Any) -> int:
    """Return a count of an endpoint's usage, 0 for any value that is none."""
    return value if isinstance(value, int) and value > 0 else 0
