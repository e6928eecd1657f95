"""The bytes of a stream, as the narrowest client reads them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.http.servers import MESSAGES, PATIENCE, Server
from tests.http.zoo import GREETING, TOOL

DONE = b"data: [DONE]\n\n"
VERSION = "?api-version=2024-05-01-preview"


def stream_of(server: Server, path: str, **body: Any) -> httpx.Response:
    return server.post(path, {"stream": True, **body})


def chat_stream(server: Server, deployment: str, **body: Any) -> httpx.Response:
    return stream_of(server, f"/deployments/{deployment}/chat/completions", messages=MESSAGES, **body)


def chunks_of(body: bytes) -> list[dict[str, Any]]:
    """The chunks before the end; every byte of the body is accounted for."""
    assert body.endswith(DONE)
    events = body.removesuffix(DONE).decode().split("\n\n")
    assert events.pop() == ""
    assert all(event.startswith("data: {") and "\n" not in event for event in events)
    return [json.loads(event.removeprefix("data: ")) for event in events]


def test_headers(endpoint: Server) -> None:
    answer = chat_stream(endpoint, "greeter")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-ms-served-model"] == "greeter"
    assert answer.headers["x-ms-request-id"]


def test_no_carriage_return_comment_or_named_event(endpoint: Server) -> None:
    body = chat_stream(endpoint, "greeter").content

    assert b"\r" not in body
    assert body.count(b"[DONE]") == 1
    lines = body.split(b"\n")
    assert all(line.startswith(b"data: ") for line in lines[:-1:2])
    assert all(line == b"" for line in lines[1::2])


def test_chat_chunks(endpoint: Server) -> None:
    chunks = chunks_of(chat_stream(endpoint, "greeter").content)

    heads = {(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}
    ((identity, created, model, kind),) = heads
    assert len(identity) == 32
    assert isinstance(created, int)
    assert (model, kind) == ("greeter", "chat.completion.chunk")
    choices = [chunk["choices"] for chunk in chunks]
    assert choices[0] == [choice({"role": "assistant", "content": ""})]
    assert choices[1] == [choice({"content": "Hello"})]
    assert choices[-1] == [choice({"content": ""}, "stop")]
    assert "".join(one["delta"]["content"] for (one,) in choices) == GREETING
    assert [("usage" in chunk) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1]["usage"] == {"prompt_tokens": 33, "completion_tokens": 10, "total_tokens": 43}


def choice(delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}


def test_characters_are_never_cut(endpoint: Server) -> None:
    """Their bytes come as two tokens."""
    said = [c["choices"][0]["delta"]["content"] for c in chunks_of(chat_stream(endpoint, "greeter").content)]

    assert "é" in said


def test_completions_chunks_have_the_shape_of_whole_answers(endpoint: Server) -> None:
    chunks = chunks_of(stream_of(endpoint, "/deployments/greeter/completions", prompt="Once").content)

    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert chunks[0]["choices"] == [{"index": 0, "text": "Hello", "finish_reason": None, "logprobs": None}]
    assert chunks[-1]["choices"] == [{"index": 0, "text": "", "finish_reason": "stop", "logprobs": None}]
    assert chunks[-1]["usage"]["completion_tokens"] == 10


def test_usage_in_a_chunk_of_its_own_when_asked(endpoint: Server) -> None:
    answer = endpoint.chat(
        "greeter", extra="pass-through", stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = chunks_of(answer.content)

    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 43)
    assert not any("usage" in chunk for chunk in chunks)


def test_tool_call_chunks(endpoint: Server) -> None:
    chunks = chunks_of(chat_stream(endpoint, "caller", tools=[TOOL]).content)

    calls = [
        c["choices"][0]["delta"]["tool_calls"][0] for c in chunks if "tool_calls" in c["choices"][0]["delta"]
    ]
    first, *more = calls
    assert (first["index"], first["type"]) == (0, "function")
    assert first["function"] == {"name": "get_weather", "arguments": ""}
    assert all(set(call) == {"index", "function"} for call in more)
    assert all(c["choices"][0]["delta"]["content"] is not None for c in chunks)


def test_stream_that_is_cut_by_its_length(endpoint: Server) -> None:
    chunks = chunks_of(chat_stream(endpoint, "greeter", max_tokens=2).content)

    assert chunks[-1]["choices"] == [choice({"content": ""}, "length")]


def test_stream_of_no_tokens(endpoint: Server) -> None:
    chunks = chunks_of(chat_stream(endpoint, "greeter", max_tokens=0).content)

    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, "length"]


def receive(answer: httpx.Response, into: bytearray) -> None:
    for piece in answer.iter_raw():
        into += piece


def test_failure_ends_in_an_error_chunk_and_a_cut(endpoint: Server) -> None:
    got = bytearray()
    path, body = "/deployments/breaker/chat/completions", {"messages": MESSAGES, "stream": True}
    with endpoint.http.stream("POST", path, json=body) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            receive(answer, got)

    assert b"[DONE]" not in got
    *events, last, nothing = bytes(got).split(b"\n\n")
    assert nothing == b""
    assert len(events) == 5
    failure = json.loads(last.removeprefix(b"data: "))
    assert failure["choices"] == []
    assert failure["error"]["code"] == "model_failed"
    assert failure["error"]["message"]


def test_failure_of_one_leaves_the_others_alone(endpoint: Server) -> None:
    assert endpoint.chat("breaker").status_code == 424
    assert endpoint.chat("breaker", max_tokens=2).json()["choices"][0]["message"]["content"] == "So far "


def test_what_fails_before_the_first_token_has_a_status(endpoint: Server) -> None:
    answer = chat_stream(endpoint, "greeter", temperature=3)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/json"


async def first_chunks(http: httpx.AsyncClient, count: int) -> list[str]:
    """The first data lines of a stream that has no end; then the client hangs up."""
    path = f"/chat/completions{VERSION}"
    body = {"messages": MESSAGES, "stream": True, "max_tokens": 50_000}
    async with http.stream("POST", path, json=body) as answer:
        assert answer.status_code == 200
        lines: list[str] = []
        async for line in answer.aiter_lines():
            lines += [line] if line else []
            if len(lines) == count:
                return lines
    raise AssertionError("the stream ended")


async def test_chunks_come_before_the_last_one_is_made(small: Server) -> None:
    async with httpx.AsyncClient(base_url=small.url, trust_env=False, timeout=PATIENCE) as http:
        lines = await first_chunks(http, 5)

    assert "".join(json.loads(line[6:])["choices"][0]["delta"]["content"] for line in lines) == "la li lo la "


async def test_a_client_that_hangs_up_frees_its_slot(small: Server) -> None:
    """Far more streams are left than there are slots and places in the queue."""
    async with httpx.AsyncClient(base_url=small.url, trust_env=False, timeout=PATIENCE) as http:
        for _ in range(6):
            await first_chunks(http, 2)
        answers = await asyncio.gather(*(finite_answer(http) for _ in range(2)))

    assert answers == [200, 200]


async def finite_answer(http: httpx.AsyncClient) -> int:
    """The status of a short answer; a place that is being given back may be asked for again."""
    for _ in range(3000):
        body = {"messages": MESSAGES, "max_tokens": 3}
        answer = await http.post(f"/chat/completions{VERSION}", json=body)
        if answer.status_code != 429:
            break
    return answer.status_code


async def test_client_of_a_whole_answer_that_hangs_up_frees_its_slot(small: Server) -> None:
    async with httpx.AsyncClient(base_url=small.url, trust_env=False, timeout=PATIENCE) as http:
        body = {"messages": MESSAGES, "max_tokens": 50_000}
        for _ in range(4):
            with pytest.raises(httpx.ReadTimeout):
                await http.post(
                    f"/chat/completions{VERSION}", json=body, timeout=httpx.Timeout(PATIENCE, read=0.2)
                )
        answers = await asyncio.gather(*(finite_answer(http) for _ in range(2)))

    assert answers == [200, 200]
