"""The last stage: whole answers, chunks, failures and clients that hang up."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from inference.api.answers import AnswerHead, ChatRenderer, CompletionRenderer
from inference.api.http_types import DONE, ClientGone, HttpRequest, HttpResponse, StreamBroken, resolve
from inference.contracts import Event, FilterResult, Finish, FinishReason, Text, Usage
from inference.errors import Busy, GenerationFailed, SafetyUnavailable
from inference.pipeline.exchange import Exchange
from inference.pipeline.request_check import RequestCheck
from inference.pipeline.respond import AnswerFormat, streamed, whole
from inference.telemetry.request_log import RequestTrace
from tests.safety.judges import FakeModerator, output_filter_of

STOP = Finish(FinishReason.STOP, Usage(3, 2))
NEVER = 3600.0


async def events_of(*events: Event | Exception) -> AsyncGenerator[Event, None]:
    for event in events:
        if isinstance(event, Exception):
            raise event
        yield event


def exchange(*, gone: bool = False) -> Exchange:
    async def read(_: int) -> bytes:
        return b""

    async def is_gone() -> bool:
        return gone

    http = HttpRequest("POST", "/chat/completions", resolve("chat/completions"), {}, {}, read, is_gone)
    return Exchange(http, RequestTrace.start("POST", "/chat/completions", {}))


def form(*, usage_chunk: bool = False, usage_on_finish: bool = True, n: int = 1) -> AnswerFormat:
    return AnswerFormat(ChatRenderer(), AnswerHead("1", "tiny", 5), n, n, usage_chunk, usage_on_finish)


async def chunks_of(answer: HttpResponse) -> list[Any]:
    """The JSON of every event; the last one must be [DONE]."""
    assert not isinstance(answer.body, bytes)
    pieces = [piece async for piece in answer.body]
    assert pieces[-1] == DONE
    return [json.loads(piece.removeprefix(b"data: ")) for piece in pieces[:-1]]


async def test_a_whole_answer_is_a_fold_of_every_choice() -> None:
    line = exchange()
    streams = [events_of(Text("a"), Text("b"), STOP), events_of(Text("c"), STOP)]
    answer = await whole(streams, form(n=2), line)
    assert isinstance(answer.body, bytes)
    body = json.loads(answer.body)
    assert [choice["message"]["content"] for choice in body["choices"]] == ["ab", "c"]
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert (line.trace.prompt_tokens, line.trace.completion_tokens) == (3, 4)


async def test_the_refusal_of_one_choice_is_the_answer() -> None:
    with pytest.raises(Busy, match="full"):
        await whole([events_of(Text("a"), STOP), events_of(Busy("full"))], form(n=2), exchange())


async def test_natively_the_last_chunk_has_reason_and_usage() -> None:
    chunks = await chunks_of(await streamed([events_of(Text("a"), STOP)], form(), exchange(), NEVER))
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {"content": ""},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop"]
    assert ["usage" in chunk for chunk in chunks] == [False, False, True]
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_usage_goes_with_the_last_of_several_choices() -> None:
    streams = [events_of(Text("a"), STOP), events_of(Text("b"), STOP)]
    chunks = await chunks_of(await streamed(streams, form(n=2), exchange(), NEVER))
    assert ["usage" in chunk for chunk in chunks].count(True) == 1
    assert chunks[-1]["usage"]["completion_tokens"] == 4


async def test_usage_on_request_has_a_chunk_of_its_own() -> None:
    wanted = form(usage_chunk=True, usage_on_finish=False)
    chunks = await chunks_of(await streamed([events_of(STOP)], wanted, exchange(), NEVER))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 5
    assert "usage" not in chunks[-2]


async def test_a_failure_before_the_first_event_has_its_own_status() -> None:
    with pytest.raises(Busy):
        await streamed([events_of(Busy("full"))], form(), exchange(), NEVER)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (GenerationFailed("NaN"), "model_failed", "NaN"),
        (ValueError("secret"), "internal_error", "The answer could not be finished."),
    ],
)
async def test_a_later_failure_is_an_error_chunk_and_a_cut(error: Exception, code: str, message: str) -> None:
    answer = await streamed([events_of(Text("a"), error)], form(), exchange(), NEVER)
    assert not isinstance(answer.body, bytes)
    pieces = [await anext(answer.body) for _ in ("role", "text", "error")]
    with pytest.raises(StreamBroken):
        await anext(answer.body)
    assert json.loads(pieces[-1].removeprefix(b"data: ")) == {
        "error": {"code": code, "message": message},
        "choices": [],
    }


async def test_a_silent_model_is_bridged_by_empty_chunks() -> None:
    gate = asyncio.Event()

    async def slow() -> AsyncGenerator[Event, None]:
        await gate.wait()
        yield STOP

    answer = await streamed([slow()], form(), exchange(), 0.001)
    assert not isinstance(answer.body, bytes)
    first, beat = await anext(answer.body), await anext(answer.body)
    assert b'"role":"assistant"' in first
    assert json.loads(beat.removeprefix(b"data: "))["choices"][0]["delta"] == {"content": ""}
    gate.set()
    rest = [piece async for piece in answer.body]
    assert rest[-1] == DONE


async def test_leaving_a_stream_closes_its_source() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[Event, None]:
        try:
            while True:
                yield Text("a")
        finally:
            closed.set()

    answer = await streamed([endless()], form(), exchange(), NEVER)
    assert not isinstance(answer.body, bytes)
    await anext(answer.body)
    await answer.body.aclose()
    assert closed.is_set()


async def test_a_client_that_hangs_up_cancels_the_work() -> None:
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(ClientGone):
        await exchange(gone=True).unless_gone(work())
    assert cancelled.is_set()


async def test_text_streams_have_no_opening_chunk() -> None:
    text_form = AnswerFormat(
        CompletionRenderer(), AnswerHead("1", "tiny", 5), 1, 1, usage_chunk=False, usage_on_finish=True
    )
    chunks = await chunks_of(await streamed([events_of(Text("a"), STOP)], text_form, exchange(), NEVER))
    assert [chunk["choices"][0]["text"] for chunk in chunks] == ["a", ""]


async def test_resources_are_released_when_a_stream_ends() -> None:
    released: list[str] = []
    serving = exchange()
    serving.resources.callback(released.append, "lease")
    answer = await streamed([events_of(Text("a"), STOP)], form(), serving, NEVER)
    assert not isinstance(answer.body, bytes)
    await anext(answer.body)
    assert released == []
    assert [piece async for piece in answer.body][-1] == DONE
    assert released == ["lease"]


async def test_streams_are_neither_cached_nor_buffered_by_proxies() -> None:
    answer = await streamed([events_of(STOP)], form(), exchange(), NEVER)
    assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")


# --- 200 is not sent before it is true


class Withheld:
    """A choice whose first text waits for a verdict until the test says so."""

    def __init__(self, *, judged: bool, **options: Any) -> None:
        self.verdict = asyncio.Event()
        output = output_filter_of(FakeModerator(), **options) if judged else None
        self.check = RequestCheck(None, output, stream=True)

    async def events(self, *events: Event) -> AsyncGenerator[Event, None]:
        await self.verdict.wait()
        for event in events:
            yield event


FAILED = FilterResult(
    {"error": {"code": "content_filter_error", "message": "limited"}}, failed=True, retry_after=40
)


async def response_of(choice: Withheld, *events: Event) -> asyncio.Task[HttpResponse]:
    """Return a response that is being made, after many heartbeats."""
    checked = replace(form(), check=choice.check)
    response = asyncio.create_task(streamed([choice.events(*events)], checked, exchange(), 0.0001))
    for _ in range(50):
        await asyncio.sleep(0.0002)
    return response


async def test_no_heartbeat_precedes_the_first_verdict_and_a_failure_is_503_with_its_retry_after() -> None:
    choice = Withheld(judged=True)
    response = await response_of(choice, FAILED, Finish(FinishReason.CONTENT_FILTER, Usage()))
    assert not response.done()
    choice.verdict.set()
    with pytest.raises(SafetyUnavailable, match="limited") as failure:
        await response
    assert (failure.value.status, failure.value.headers["Retry-After"]) == (503, "40")


@pytest.mark.parametrize(
    "options",
    [{"judged": False}, {"judged": True, "fail_open": True}, {"judged": True, "asynchronous": True}],
)
async def test_a_heartbeat_precedes_text_that_no_failure_withholds(options: dict[str, Any]) -> None:
    choice = Withheld(**options)
    answer = await (await response_of(choice, Text("a"), STOP))
    assert answer.status == 200
    assert not isinstance(answer.body, bytes)
    await answer.body.aclose()
