"""The answer of `/responses`: one body, or the stream of events that it is the fold of."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from inference.api.http_types import DONE, HttpResponse, json_response, sse_named_event
from inference.api.response_events import ResponseBuilder
from inference.contracts import ApiStyle, Events, FilterResult, FinishReason
from inference.errors import ApiError, Location
from inference.pipeline.exchange import Exchange
from inference.pipeline.request_check import UNCHECKED, RequestCheck
from inference.pipeline.respond import Merged, note_reason, resumed
from inference.pipeline.response_places import relocate
from inference.telemetry.request_log import RequestTrace

BEAT = b": keep-alive\n\n"
"""A comment, which every client of this route passes over."""
Keep: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Keeps a response that is whole. Raises `ResponseStoreUnavailable`."""


@dataclass(frozen=True, slots=True)
class ResponseForm:
    """The form of a response: a complete one was kept before its last event leaves."""

    builder: ResponseBuilder
    keep: Keep
    check: RequestCheck = UNCHECKED
    places: Mapping[Location, Location] = field(default_factory=dict)
    """Locations in the chat's body, each with that in the request."""
    cuts: ClassVar[bool] = False

    async def whole(self, streams: Sequence[Events], exchange: Exchange) -> HttpResponse:
        """Run the answer to its end and return the response."""
        (events,) = streams
        async with aclosing(events):
            async for event in events:
                for _ in self.builder.add(event):
                    pass
        for _ in self.builder.close():
            pass
        await self._finish(exchange.trace)
        return json_response(self.builder.response)

    async def pieces(
        self, first: Merged, rest: AsyncGenerator[Merged, None], _: int, trace: RequestTrace
    ) -> AsyncGenerator[bytes, None]:
        """Yield the events of the stream."""
        for one in self._begun():
            yield sse_named_event(one)
        async for item in resumed(first, rest):
            if item is None:
                yield BEAT
                continue
            for one in self.builder.add(item[1]):
                yield sse_named_event(one)
        for one in self.builder.close():
            yield sse_named_event(one)
        await self._finish(trace)
        yield sse_named_event(self.builder.end())

    def broken(self, error: ApiError, _: ApiStyle) -> bytes:
        """Return the events of a failure and the end of the stream."""
        relocate(error, self.places)
        return b"".join(map(sse_named_event, self.builder.failed(error))) + DONE

    def _begun(self) -> Iterator[dict[str, Any]]:
        if self.check.active:
            self.builder.response["content_filters"] = None
        return self.builder.opening()

    async def _finish(self, trace: RequestTrace) -> None:
        """Note the end of the answer, and keep the response."""
        finish = self.builder.finish
        assert finish is not None
        trace.record_usage(finish.usage)
        note_reason(finish.reason, trace)
        if self.check.active:
            blocked = finish.reason is FinishReason.CONTENT_FILTER
            self.builder.response["content_filters"] = [
                *_prompt_entries(self.check.annotations()),
                *_completion_entries(self.builder.verdicts, self.builder.characters, blocked=blocked),
            ]
        await self.keep(self.builder.response)


def _prompt_entries(annotations: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for one in annotations.get("prompt_filter_results", ()):
        yield {"blocked": False, "source_type": "prompt", **_results(one["content_filter_results"], None)}


def _completion_entries(
    verdicts: Sequence[FilterResult], characters: int, *, blocked: bool
) -> Iterator[dict[str, Any]]:
    """Yield the findings in the answer: the last, which is of all of it, and those of places before it."""
    for number, verdict in enumerate(verdicts):
        last = number == len(verdicts) - 1
        if not last and verdict.offsets is None:
            continue
        whole = {"start_offset": 0, "end_offset": characters, "check_offset": characters}
        entry = _results(verdict.results, verdict.offsets or whole)
        yield {"blocked": blocked and last, "source_type": "completion", **entry}


def _results(results: Mapping[str, Any], offsets: Mapping[str, int] | None) -> dict[str, Any]:
    offsets = offsets or {"start_offset": 0, "end_offset": 0, "check_offset": 0}
    return {"content_filter_results": dict(results), "content_filter_offsets": dict(offsets)}
