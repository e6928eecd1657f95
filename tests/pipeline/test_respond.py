"""The last stage: whole answers, chunks, failures and clients that hang up."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from inference.api.answers import AnswerHead, ChatRenderer, CompletionRenderer
from inference.api.http_types import HttpResponse
from inference.api.sse import DONE, StreamBroken
from inference.contracts import Event, Finish, FinishReason, Text, Usage
from inference.errors import Busy, GenerationFailed
from inference.pipeline.respond import AnswerFormat, ClientGone, streamed, unless_gone, whole
from inference.telemetry.request_log import RequestTrace

STOP = Finish(FinishReason.STOP, Usage(3, 2))
NEVER = 3600.0


async def said(*events: Event | Exception) -> AsyncGenerator[Event, None]:
    for event in events:
        if isinstance(event, Exception):
            raise event
        yield event


def trace() -> RequestTrace:
    return RequestTrace.start("POST", "/chat/completions", {})


def manner(*, usage_chunk: bool = False, usage_on_finish: bool = True, n: int = 1) -> AnswerFormat:
    return AnswerFormat(ChatRenderer(), AnswerHead("1", "tiny", 5), n, n, usage_chunk, usage_on_finish)


async def still_there() -> bool:
    return False


async def chunks_of(answer: HttpResponse) -> list[Any]:
    """The JSON of every event; the last one must be [DONE]."""
    assert not isinstance(answer.body, bytes)
    pieces = [piece async for piece in answer.body]
    assert pieces[-1] == DONE
    return [json.loads(piece.removeprefix(b"data: ")) for piece in pieces[:-1]]


async def test_a_whole_answer_is_a_fold_of_every_choice() -> None:
    line = trace()
    streams = [said(Text("a"), Text("b"), STOP), said(Text("c"), STOP)]
    answer = await whole(streams, manner(n=2), line, still_there)
    assert isinstance(answer.body, bytes)
    body = json.loads(answer.body)
    assert [choice["message"]["content"] for choice in body["choices"]] == ["ab", "c"]
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert (line.prompt_tokens, line.completion_tokens) == (3, 4)


async def test_the_refusal_of_one_choice_is_the_answer() -> None:
    with pytest.raises(Busy, match="full"):
        await whole([said(Text("a"), STOP), said(Busy("full"))], manner(n=2), trace(), still_there)


async def test_natively_the_last_chunk_has_reason_and_usage() -> None:
    chunks = await chunks_of(await streamed([said(Text("a"), STOP)], manner(), trace(), NEVER))
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {"content": ""},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop"]
    assert ["usage" in chunk for chunk in chunks] == [False, False, True]
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_usage_goes_with_the_last_of_several_choices() -> None:
    streams = [said(Text("a"), STOP), said(Text("b"), STOP)]
    chunks = await chunks_of(await streamed(streams, manner(n=2), trace(), NEVER))
    assert ["usage" in chunk for chunk in chunks].count(True) == 1
    assert chunks[-1]["usage"]["completion_tokens"] == 4


async def test_usage_on_request_has_a_chunk_of_its_own() -> None:
    asked = manner(usage_chunk=True, usage_on_finish=False)
    chunks = await chunks_of(await streamed([said(STOP)], asked, trace(), NEVER))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 5
    assert "usage" not in chunks[-2]


async def test_what_fails_before_the_first_event_has_its_own_status() -> None:
    with pytest.raises(Busy):
        await streamed([said(Busy("full"))], manner(), trace(), NEVER)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (GenerationFailed("NaN"), "model_failed", "NaN"),
        (ValueError("secret"), "internal_error", "The answer could not be finished."),
    ],
)
async def test_what_fails_later_is_an_error_chunk_and_a_cut(
    error: Exception, code: str, message: str
) -> None:
    answer = await streamed([said(Text("a"), error)], manner(), trace(), NEVER)
    assert not isinstance(answer.body, bytes)
    pieces = [await anext(answer.body) for _ in ("role", "text", "error")]
    with pytest.raises(StreamBroken):
        await anext(answer.body)
    assert json.loads(pieces[-1].removeprefix(b"data: ")) == {
        "error": {"code": code, "message": message},
        "choices": [],
    }


async def test_a_silent_model_is_answered_for() -> None:
    gate = asyncio.Event()

    async def slow() -> AsyncGenerator[Event, None]:
        await gate.wait()
        yield STOP

    answer = await streamed([slow()], manner(), trace(), 0.001)
    assert not isinstance(answer.body, bytes)
    first, beat = await anext(answer.body), await anext(answer.body)
    assert b'"role":"assistant"' in first
    assert json.loads(beat.removeprefix(b"data: "))["choices"][0]["delta"] == {"content": ""}
    gate.set()
    rest = [piece async for piece in answer.body]
    assert rest[-1] == DONE


async def test_leaving_a_stream_closes_what_makes_it() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[Event, None]:
        try:
            while True:
                yield Text("a")
        finally:
            closed.set()

    answer = await streamed([endless()], manner(), trace(), NEVER)
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

    async def hung_up() -> bool:
        return True

    with pytest.raises(ClientGone):
        await unless_gone(work(), hung_up)
    assert cancelled.is_set()


async def test_text_streams_have_no_opening_chunk() -> None:
    shown = AnswerFormat(
        CompletionRenderer(), AnswerHead("1", "tiny", 5), 1, 1, usage_chunk=False, usage_on_finish=True
    )
    chunks = await chunks_of(await streamed([said(Text("a"), STOP)], shown, trace(), NEVER))
    assert [chunk["choices"][0]["text"] for chunk in chunks] == ["a", ""]
