"""The last stage: events become one JSON body, or the chunks of a stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

from inference.api.answers import AnswerHead, Renderer, annotated, new_id, usage_of
from inference.api.generation import GenerationBody
from inference.api.http_types import (
    DONE,
    EVENT_STREAM,
    NOT_STORED,
    HttpResponse,
    StreamBroken,
    json_response,
    sse_error,
    sse_event,
)
from inference.contracts import (
    ApiStyle,
    CompletedChoice,
    Event,
    Events,
    FilterResult,
    Finish,
    FinishReason,
    Usage,
)
from inference.errors import ApiError, ContentFiltered, SafetyUnavailable
from inference.output.choices import fold, merge
from inference.pipeline.admission import ResolvedRequest
from inference.pipeline.exchange import Exchange
from inference.pipeline.request_check import UNCHECKED, RequestCheck
from inference.telemetry.request_log import RequestTrace

log = logging.getLogger(__name__)

STREAM_HEADERS = {**NOT_STORED, "X-Accel-Buffering": "no"}

Merged: TypeAlias = tuple[int, Event] | None
"""An event with the number of its choice; None for a silence that a heartbeat fills."""


class StreamForm(Protocol):
    """The form of an answer: its one body, or the pieces of its stream."""

    @property
    def check(self) -> RequestCheck:
        """The content filter's check: while it may still refuse, not even silence is answered."""
        ...

    @property
    def cuts(self) -> bool:
        """True if the connection of a stream that failed is cut, False if the form itself says so."""
        ...

    async def whole(self, streams: Sequence[Events], exchange: Exchange) -> HttpResponse:
        """Run every choice to its end and return one body. Raises the first error of a choice."""
        ...

    def pieces(
        self, first: Merged, rest: AsyncGenerator[Merged, None], choices: int, trace: RequestTrace
    ) -> AsyncGenerator[bytes, None]:
        """Yield the pieces of the stream."""
        ...

    def broken(self, error: ApiError, style: ApiStyle) -> bytes:
        """Return the last piece of a stream that failed."""
        ...


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """The form of a chat's or a completion's answer: its renderer, and where a stream has the usage."""

    cuts: ClassVar[bool] = True

    renderer: Renderer
    head: AnswerHead
    drawn: int
    """Answers drawn for each prompt."""
    returned: int
    """The number of them that are returned: the likeliest."""
    usage_chunk: bool
    """The usage goes in a chunk of its own before the end."""
    usage_on_finish: bool
    """The usage goes with the last finish reason."""
    check: RequestCheck = UNCHECKED

    @classmethod
    def of(
        cls,
        request: GenerationBody,
        resolved: ResolvedRequest,
        renderer: Renderer,
        check: RequestCheck = UNCHECKED,
    ) -> AnswerFormat:
        """Return the form of a request's answer.

        A native stream ends with its usage in any case; OpenAI's clients ask for it.
        """
        head = AnswerHead(new_id(resolved.style, renderer.prefix), resolved.deployment.name)
        own, finish = request.wants_usage, resolved.style is ApiStyle.NATIVE and not request.wants_usage
        drawn, returned = request.drawn_per_prompt(), request.choices_per_prompt
        return cls(renderer, head, drawn, returned, own, finish, check)

    async def whole(self, streams: Sequence[Events], exchange: Exchange) -> HttpResponse:
        return await whole(streams, self, exchange)

    def pieces(
        self, first: Merged, rest: AsyncGenerator[Merged, None], choices: int, trace: RequestTrace
    ) -> AsyncGenerator[bytes, None]:
        return _pieces(first, rest, choices, self, trace)

    def broken(self, error: ApiError, style: ApiStyle) -> bytes:
        return sse_error(error, style)


async def whole(streams: Sequence[Events], form: AnswerFormat, exchange: Exchange) -> HttpResponse:
    """Run every choice to its end and return one body. Raises the first error of a choice."""
    choices = await _all(streams)
    usage = usage_of([choice.usage for choice in choices], form.drawn)
    exchange.trace.record_usage(usage)
    for choice in choices:
        note_reason(choice.reason, exchange.trace)
    body = form.renderer.whole(form.head, _likeliest(choices, form), usage)
    return json_response({**body, **form.check.annotations()})


def _likeliest(choices: Sequence[CompletedChoice], form: AnswerFormat) -> Sequence[CompletedChoice]:
    """Return the answers to return of each prompt, the likeliest first; of equal ones the first drawn."""
    if form.returned == form.drawn:
        return choices
    groups = [choices[start : start + form.drawn] for start in range(0, len(choices), form.drawn)]
    ranked = [sorted(group, key=lambda choice: -choice.mean_logprob) for group in groups]
    return [choice for group in ranked for choice in group[: form.returned]]


async def streamed(
    streams: Sequence[Events], form: StreamForm, exchange: Exchange, heartbeat: float
) -> HttpResponse:
    """Return a stream once it has a first event, so that an earlier failure has a status of its own.

    A silence of the model longer than `heartbeat` seconds is filled in a way that the form's clients bear.
    """
    events = merge(streams, heartbeat)
    try:
        first = await anext(events)
        while first is None and not form.check.answers_silence():
            first = await anext(events)
        _refuse_unjudged(first)
    except BaseException:
        await events.aclose()
        raise
    body = exchange.stream = _body(first, events, len(streams), form, exchange)
    await anext(body)  # Begun, so that closing it releases everything even if no piece of it is read.
    return HttpResponse(200, body, EVENT_STREAM, STREAM_HEADERS)


async def _body(
    first: Merged, rest: AsyncGenerator[Merged, None], choices: int, form: StreamForm, exchange: Exchange
) -> AsyncGenerator[bytes, None]:
    """Yield nothing once, then the events of the stream."""
    pieces, trace = form.pieces(first, rest, choices, exchange.trace), exchange.trace
    try:
        yield b""
        async for piece in pieces:
            yield piece
        yield DONE
        exchange.end(200)
    except (ApiError, StreamBroken) as error:
        yield _broken(error, form, exchange)
        if form.cuts:
            raise StreamBroken(str(error)) from None
    except Exception as error:
        log.exception("A stream failed (id=%s)", trace.id)
        yield _broken(error, form, exchange)
        if form.cuts:
            raise StreamBroken("internal error") from None
    except (GeneratorExit, asyncio.CancelledError):
        trace.outcome = "client_gone"
        raise
    finally:
        await _close(pieces, rest, exchange)


async def _close(
    pieces: AsyncGenerator[bytes, None], rest: AsyncGenerator[Merged, None], exchange: Exchange
) -> None:
    """Stop the choices, which `merge` does to the end, then release what they ran on."""
    try:
        await pieces.aclose()
    finally:
        try:
            await rest.aclose()
        finally:
            exchange.end(200)


def _broken(error: Exception, form: StreamForm, exchange: Exchange) -> bytes:
    """End the exchange of a stream that failed, and return its last piece."""
    refusal = error if isinstance(error, ApiError) else ApiError("The answer could not be finished.")
    log.warning("A stream was cut: %s (id=%s)", refusal.code, exchange.trace.id)
    exchange.trace.outcome = refusal.code
    exchange.end(200)
    return form.broken(refusal, exchange.http.target.style)


async def _pieces(
    first: Merged, rest: AsyncGenerator[Merged, None], choices: int, form: AnswerFormat, trace: RequestTrace
) -> AsyncGenerator[bytes, None]:
    renderer, head = form.renderer, form.head
    if annotations := form.check.annotations():
        yield sse_event(renderer.notes(head, annotations))
    for index in range(choices):
        if (opening := renderer.first(head, index)) is not None:
            yield sse_event(opening)
    finished: dict[int, Usage] = {}
    async for item in _with_verdicts(resumed(first, rest)):
        if item is None:
            yield sse_event(renderer.beat(head))
            continue
        index, event, verdict = item
        chunk = renderer.chunk(head, index, event)
        if isinstance(event, Finish):
            finished[index] = event.usage
            note_reason(event.reason, trace)
        if chunk is not None:
            chunk = annotated(chunk, verdict)
            if len(finished) == choices and form.usage_on_finish:
                chunk["usage"] = renderer.usage(head, _total(finished, form))["usage"]
            yield sse_event(chunk)
    total = _total(finished, form)
    trace.record_usage(total)
    if form.usage_chunk:
        yield sse_event(renderer.usage(head, total))


async def _with_verdicts(
    items: AsyncGenerator[Merged, None],
) -> AsyncGenerator[tuple[int, Event, FilterResult | None] | None, None]:
    """Yield every event with the verdict of the content filter that came just before it."""
    verdicts: dict[int, FilterResult] = {}
    async for item in items:
        if item is None:
            yield None
            continue
        index, event = item
        if isinstance(event, FilterResult):
            verdicts[index] = event
        else:
            yield index, event, verdicts.pop(index, None)


def _refuse_unjudged(first: Merged) -> None:
    """Raise `SafetyUnavailable` for an answer that could not be judged, while it can have a status."""
    if first is not None and isinstance(first[1], FilterResult) and first[1].failed:
        raise SafetyUnavailable(first[1].results["error"]["message"], retry_after=first[1].retry_after)


def note_reason(reason: FinishReason, trace: RequestTrace) -> None:
    """Note an answer that the content filter ended."""
    if reason is FinishReason.CONTENT_FILTER:
        trace.outcome = ContentFiltered.code


async def resumed(first: Merged, rest: AsyncGenerator[Merged, None]) -> AsyncGenerator[Merged, None]:
    """Yield the first item, then the others."""
    yield first
    async for item in rest:
        yield item


def _total(finished: dict[int, Usage], form: AnswerFormat) -> Usage:
    return usage_of([finished[index] for index in sorted(finished)], form.drawn)


async def _all(streams: Sequence[Events]) -> list[CompletedChoice]:
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(fold(stream)) for stream in streams]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
