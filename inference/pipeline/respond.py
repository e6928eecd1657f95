"""The last stage: events become one JSON body, or the chunks of a stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from inference.api.answers import AnswerHead, Renderer, annotated, new_id, usage_of
from inference.api.completions import GenerationBody
from inference.api.http_types import EVENT_STREAM, HttpResponse, json_response
from inference.api.paths import ApiStyle
from inference.api.sse import DONE, StreamBroken, sse_error, sse_event
from inference.contracts import Event, Events, FilterResult, Finish, FinishReason, Usage
from inference.errors import ApiError, ContentFiltered, SafetyUnavailable
from inference.output.fold import CompletedChoice, fold
from inference.output.merge import merge
from inference.pipeline.admission import ResolvedRequest
from inference.prompt.lowering import draws
from inference.telemetry.request_log import RequestTrace

log = logging.getLogger(__name__)

WATCH_SECONDS = 0.25
"""How often a request without a stream is asked whether its client is still there."""
STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

Result = TypeVar("Result")


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """How an answer is to look: its shapes, and where a stream puts the usage."""

    answers: Renderer
    head: AnswerHead
    n: int
    """Answers drawn for a prompt."""
    given: int
    """How many of them are given: the likeliest."""
    usage_chunk: bool
    """The usage goes in a chunk of its own before the end."""
    usage_on_finish: bool
    """The usage goes with the last finish reason."""
    notes: Callable[[], Mapping[str, Any]] = dict
    """What is said of the request, once there is something to answer."""
    settled: Callable[[], bool] = lambda: True
    """Whether the request can no longer be refused; before that not even silence is answered."""

    @classmethod
    def of(
        cls,
        request: GenerationBody,
        order: ResolvedRequest,
        answers: Renderer,
        notes: Callable[[], Mapping[str, Any]] = dict,
        settled: Callable[[], bool] = lambda: True,
    ) -> AnswerFormat:
        """Natively a stream ends with its usage unasked; OpenAI's clients ask for it."""
        head = AnswerHead(new_id(order.dialect, answers.prefix), order.deployment.name)
        own, finish = request.wants_usage, order.dialect is ApiStyle.NATIVE and not request.wants_usage
        return cls(answers, head, draws(request), request.n or 1, own, finish, notes, settled)


async def whole(
    streams: Sequence[Events], manner: AnswerFormat, trace: RequestTrace, gone: Callable[[], Awaitable[bool]]
) -> HttpResponse:
    """Runs every choice to its end. Raises `ClientGone`, having cancelled them, when the client hangs up."""
    replies = await unless_gone(_all(streams), gone)
    usage = usage_of([reply.usage for reply in replies], manner.n)
    trace.count(usage)
    for reply in replies:
        _note(reply.reason, trace)
    given = _likeliest(replies, manner)
    return json_response({**manner.answers.whole(manner.head, given, usage), **manner.notes()})


def _likeliest(replies: Sequence[CompletedChoice], manner: AnswerFormat) -> Sequence[CompletedChoice]:
    """Of each prompt's answers the ones to give, the likeliest first; of equal ones the first drawn."""
    if manner.given == manner.n:
        return replies
    groups = [replies[start : start + manner.n] for start in range(0, len(replies), manner.n)]
    ranked = [sorted(group, key=lambda reply: -reply.likelihood) for group in groups]
    return [reply for group in ranked for reply in group[: manner.given]]


async def streamed(
    streams: Sequence[Events], manner: AnswerFormat, trace: RequestTrace, heartbeat: float
) -> HttpResponse:
    """Answers once there is something to say, so that what fails before has a status of its own.

    A model that is silent for longer than `heartbeat` seconds is answered for with empty chunks.
    """
    events = merge(streams, heartbeat)
    try:
        first = await anext(events)
        while first is None and not manner.settled():
            first = await anext(events)
        _refuse_unjudged(first)
    except BaseException:
        await events.aclose()
        raise
    return HttpResponse(200, _body(first, events, len(streams), manner, trace), EVENT_STREAM, STREAM_HEADERS)


Merged = tuple[int, Event] | None


async def _body(
    first: Merged, rest: AsyncGenerator[Merged, None], choices: int, manner: AnswerFormat, trace: RequestTrace
) -> AsyncGenerator[bytes, None]:
    chunks = _chunks(first, rest, choices, manner, trace)
    try:
        async for chunk in chunks:
            yield sse_event(chunk)
        yield DONE
        trace.end(200)
    except (ApiError, StreamBroken) as error:
        yield _broken(error, trace)
        raise StreamBroken(str(error)) from None
    except Exception as error:
        log.exception("A stream failed (id=%s)", trace.id)
        yield _broken(error, trace)
        raise StreamBroken("internal error") from None
    except (GeneratorExit, asyncio.CancelledError):
        trace.outcome = "client_gone"
        trace.end(200)
        raise
    finally:
        await chunks.aclose()
        await rest.aclose()


def _broken(error: Exception, trace: RequestTrace) -> bytes:
    code = error.code if isinstance(error, ApiError) else ApiError.code
    message = error.message if isinstance(error, ApiError) else "The answer could not be finished."
    log.warning("A stream was cut: %s (id=%s)", code, trace.id)
    trace.outcome = code
    trace.end(200)
    return sse_error(code, message)


async def _chunks(
    first: Merged, rest: AsyncGenerator[Merged, None], choices: int, manner: AnswerFormat, trace: RequestTrace
) -> AsyncGenerator[dict[str, Any], None]:
    answers, head = manner.answers, manner.head
    if notes := manner.notes():
        yield answers.notes(head, notes)
    for index in range(choices):
        if (opening := answers.first(head, index)) is not None:
            yield opening
    finished: dict[int, Usage] = {}
    async for item in _told(_with(first, rest)):
        if item is None:
            yield answers.beat(head)
            continue
        index, happened, judged = item
        chunk = answers.chunk(head, index, happened)
        if isinstance(happened, Finish):
            finished[index] = happened.usage
            _note(happened.reason, trace)
        if chunk is not None:
            chunk = annotated(chunk, judged)
            if len(finished) == choices and manner.usage_on_finish:
                chunk["usage"] = answers.usage(head, _total(finished, manner))["usage"]
            yield chunk
    total = _total(finished, manner)
    trace.count(total)
    if manner.usage_chunk:
        yield answers.usage(head, total)


async def _told(
    items: AsyncGenerator[Merged, None],
) -> AsyncGenerator[tuple[int, Event, FilterResult | None] | None, None]:
    """Every event with what the content filter said of it just before."""
    judged: dict[int, FilterResult] = {}
    async for item in items:
        if item is None:
            yield None
            continue
        index, happened = item
        if isinstance(happened, FilterResult):
            judged[index] = happened
        else:
            yield index, happened, judged.pop(index, None)


def _refuse_unjudged(first: Merged) -> None:
    """Before the first byte, an answer that nobody could judge has a status of its own."""
    if first is not None and isinstance(first[1], FilterResult) and first[1].failed:
        raise SafetyUnavailable(first[1].results["error"]["message"])


def _note(reason: FinishReason, trace: RequestTrace) -> None:
    if reason is FinishReason.CONTENT_FILTER:
        trace.outcome = ContentFiltered.code


async def _with(first: Merged, rest: AsyncGenerator[Merged, None]) -> AsyncGenerator[Merged, None]:
    yield first
    async for item in rest:
        yield item


def _total(finished: dict[int, Usage], manner: AnswerFormat) -> Usage:
    return usage_of([finished[index] for index in sorted(finished)], manner.n)


async def _all(streams: Sequence[Events]) -> list[CompletedChoice]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(fold(stream)) for stream in streams]
    return [task.result() for task in tasks]


async def unless_gone(work: Coroutine[Any, Any, Result], gone: Callable[[], Awaitable[bool]]) -> Result:
    """The work's result; cancels it and raises `ClientGone` when the client hangs up first."""
    task = asyncio.create_task(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=WATCH_SECONDS)
            if not task.done() and await gone():
                raise ClientGone
        return task.result()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
