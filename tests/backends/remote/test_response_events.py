"""Responses of an endpoint as events: whole, streamed, and by servers of other forms."""

from typing import Any

import numpy as np
import pytest

from inference.backends.remote.response_events import parse_response
from inference.contracts import (
    Finish,
    FinishReason,
    Reasoning,
    Route,
    Text,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from inference.errors import ContentFiltered, UpstreamError, UpstreamRefused
from tests.backends.remote.remotes import collect, drain, proxy_request, remote_endpoint, text_of
from tests.backends.remote.upstream import (
    Exchange,
    answering,
    chat,
    chunk,
    event,
    streaming,
    usage,
    usage_only,
)

CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}


def called(arguments: str) -> Any:
    return chunk(tool_calls=[{"index": 0, "function": {"arguments": arguments}}])


async def test_a_whole_response_becomes_text_and_finish() -> None:
    async with remote_endpoint(answering(chat("Hi"))) as (endpoint, fake):
        assert await collect(endpoint, proxy_request(seed=1)) == [
            Text("Hi"),
            Finish(FinishReason.STOP, Usage(5, 3)),
        ]
    (request,) = fake.received
    assert (request.method, request.target) == (
        "POST",
        "/chat/completions?api-version=2024-05-01-preview",
    )
    assert request.headers["x-ms-client-request-id"] == "our-id"
    assert request.headers["user-agent"].startswith("model-inference/")
    assert "authorization" not in request.headers


async def test_a_stream_of_every_kind_of_delta_becomes_events() -> None:
    script = streaming(
        [
            chunk("", role="assistant"),
            chunk(reasoning_content="Hm."),
            chunk("Hé"),
            chunk(""),
            chunk(tool_calls=[CALL]),
            called('{"a"'),
            called(": 1}"),
            chunk("", reason="tool_calls"),
            usage(9, 4),
        ]
    )
    async with remote_endpoint(script) as (endpoint, _):
        assert await collect(endpoint, proxy_request(stream=True)) == [
            Reasoning("Hm."),
            Text("Hé"),
            ToolCallStart(0, "call_1", "look"),
            ToolCallArguments(0, '{"a"'),
            ToolCallArguments(0, ": 1}"),
            Finish(FinishReason.TOOL_CALLS, Usage(9, 4)),
        ]


async def test_a_stream_split_into_bytes_is_the_same() -> None:
    stream = b": beat\r\n\r\n" + event(chunk("né")) + event(chunk("日", reason="stop")) + b"data:[DONE]\n\n"

    async def bytewise(exchange: Exchange) -> None:
        await exchange.start()
        for position in range(len(stream)):
            await exchange.send_chunk(stream[position : position + 1])
        await exchange.end()

    async with remote_endpoint(bytewise) as (endpoint, _):
        assert text_of(await collect(endpoint, proxy_request(stream=True))) == "né日"


async def test_each_event_is_yielded_when_it_arrives() -> None:
    """The endpoint sends the second chunk only after the first has arrived here."""
    import asyncio

    arrived = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send_chunk(event(chunk("one")))
        await arrived.wait()
        await exchange.send_chunk(event(chunk("two", reason="stop")) + b"data: [DONE]\n\n")
        await exchange.end()

    async with remote_endpoint(script) as (endpoint, _):
        (events,) = endpoint.generate(proxy_request(stream=True))
        assert await anext(events) == Text("one")
        arrived.set()
        assert text_of(await drain(events)) == "two"


async def test_a_stream_without_done_is_complete_with_a_finish_reason() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.events(chunk("x", reason="length"), done=False)

    async with remote_endpoint(script) as (endpoint, _):
        *_, finish = await collect(endpoint, proxy_request(stream=True))
    assert finish == Finish(FinishReason.LENGTH, Usage(0, 1))


@pytest.mark.parametrize("done", [True, False])
async def test_an_end_without_a_finish_reason_is_an_error(done: bool) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.events(chunk("x"), done=done)

    async with remote_endpoint(script) as (endpoint, _):
        (events,) = endpoint.generate(proxy_request(stream=True))
        assert await anext(events) == Text("x")
        with pytest.raises(UpstreamError, match="without a finish reason"):
            await anext(events)


@pytest.mark.parametrize(
    "body",
    [
        b"data: {nonsense\n\n",
        b"data: 5\n\n",
        event({"choices": 5}),
        event({"choices": [5]}),
        event({"choices": [{"index": 1, "delta": {}}]}),
        event({"choices": [{"index": "0", "delta": {}}]}),
        event({"choices": [{"index": 0, "delta": 5}]}),
        event(chunk(tool_calls=[5])),
        event(chunk(tool_calls=[{"index": 0, "function": {"arguments": "x"}}])),
        event(chunk("", reason="exploded")),
        event(chunk("", reason=5)),
        event(chunk("", reason=["x"])),
        event(chunk(tool_calls=5)),
    ],
)
async def test_malformed_events_are_errors(body: bytes) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send_chunk(body)
        await exchange.send_chunk(b"data: [DONE]\n\n")
        await exchange.end()

    async with remote_endpoint(script) as (endpoint, _):
        with pytest.raises(UpstreamError):
            await collect(endpoint, proxy_request(stream=True))


async def test_an_error_in_a_stream_keeps_its_code_and_message() -> None:
    error = {"error": {"code": "overloaded", "message": "Too much."}, "choices": []}
    async with remote_endpoint(streaming([chunk("a"), error])) as (endpoint, _):
        (events,) = endpoint.generate(proxy_request(stream=True))
        assert await anext(events) == Text("a")
        with pytest.raises(UpstreamRefused, match=r"The endpoint of far: Too much\.") as caught:
            await anext(events)
    assert (caught.value.status, caught.value.code) == (502, "overloaded")


async def test_a_content_filter_error_in_a_stream_is_content_filtered() -> None:
    error = {"error": {"code": "content_filter", "message": "No."}}
    async with remote_endpoint(streaming([error])) as (endpoint, _):
        with pytest.raises(ContentFiltered):
            await collect(endpoint, proxy_request(stream=True))


@pytest.mark.parametrize("body", [b"{nonsense", b"5", b"{}", b'{"choices": []}', b"null", b""])
async def test_malformed_whole_responses_are_errors(body: bytes) -> None:
    async with remote_endpoint(answering(body)) as (endpoint, _):
        with pytest.raises(UpstreamError):
            await collect(endpoint, proxy_request())


def test_finish_reasons_of_compatible_servers_are_mapped() -> None:
    for reason, ours in (("eos", FinishReason.STOP), ("max_tokens", FinishReason.LENGTH)):
        *_, (_, finish) = parse_response(chat("x", reason=reason), proxy_request(), "far")
        assert isinstance(finish, Finish)
        assert finish.reason is ours


def test_calls_of_a_whole_response_become_events() -> None:
    calls = [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"type": "function", "function": {"name": "g", "arguments": {"x": 1}}},
    ]
    body = {"choices": [{"message": {"content": None, "tool_calls": calls}, "finish_reason": "tool_calls"}]}
    events = [found for _, found in parse_response(body, proxy_request(), "far")]
    assert events[:3] == [ToolCallStart(0, "a", "f"), ToolCallArguments(0, "{}"), events[2]]
    assert isinstance(events[2], ToolCallStart)
    assert (events[2].index, events[2].name) == (1, "g")
    assert events[2].id
    assert events[3] == ToolCallArguments(1, '{"x":1}')


def test_a_refusal_of_the_model_is_its_text() -> None:
    body = {"choices": [{"message": {"content": None, "refusal": "I won't."}, "finish_reason": "stop"}]}
    assert next(parse_response(body, proxy_request(), "far")) == (0, Text("I won't.", refusal=True))


async def test_each_prompt_gets_its_own_text() -> None:
    choices = [{"index": n, "text": f"text {n}", "finish_reason": "stop"} for n in range(2)]
    async with remote_endpoint(answering({"choices": choices, **usage_only(4, 4)})) as (endpoint, fake):
        streams = endpoint.generate(proxy_request(Route.COMPLETIONS, choices=2, prompt=["a", "b"]))
        import asyncio

        first, second = await asyncio.gather(*(drain(stream) for stream in streams))
    assert (text_of(first), text_of(second)) == ("text 0", "text 1")
    assert fake.received[0].json == {"prompt": ["a", "b"], "model": "theirs"}


def vector(index: int, embedding: Any) -> dict[str, Any]:
    return {"index": index, "object": "embedding", "embedding": embedding}


async def test_vectors_come_in_the_order_of_the_inputs() -> None:
    data = [vector(1, [0.5, 1]), vector(0, "AACAPwAAAEA=")]
    async with remote_endpoint(answering({"data": data, "usage": {"prompt_tokens": 7}})) as (endpoint, _):
        found = await endpoint.embed(proxy_request(Route.EMBEDDINGS, choices=2, input=["a", "b"]))
    assert found.vectors.dtype == np.float32
    assert found.vectors.tolist() == [[1, 2], [0.5, 1]]
    assert (found.tokens, found.patches) == (7, 0)


@pytest.mark.parametrize(
    "data",
    [
        5,
        [],
        [5],
        [vector(0, [1, 2])],
        [vector(0, [1, 2]), vector(0, [1, 2])],
        [vector(0, [1, 2]), vector(1, [1])],
        [vector(0, [1, 2]), vector(1, "?")],
        [vector(0, [1, 2]), vector(1, ["x", 1])],
        [vector(0, [1, 2]), vector(1, [[1], [2]])],
        [vector(0, [1, 2]), vector(1, None)],
        [vector(0, []), vector(1, [])],
        [vector(0, [1, 2]), vector(1, "AADAfwAAAEA=")],
        [{"index": [], "embedding": [1]}, {"index": 1, "embedding": [1]}],
    ],
)
async def test_malformed_vectors_are_errors(data: Any) -> None:
    async with remote_endpoint(answering({"data": data})) as (endpoint, _):
        with pytest.raises(UpstreamError):
            await endpoint.embed(proxy_request(Route.EMBEDDINGS, choices=2, input=["a", "b"]))


async def test_vectors_of_another_size_than_declared_are_errors() -> None:
    card: dict[str, Any] = {"type": "embeddings", "embedding": {"dimensions": 3}}
    async with remote_endpoint(answering({"data": [vector(0, [1, 2])]}), **card) as (endpoint, _):
        with pytest.raises(UpstreamError, match="vectors of 2 numbers, not of 3"):
            await endpoint.embed(proxy_request(Route.EMBEDDINGS, input=["a"]))


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (
            {
                "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.2}],
                "usage": {"total_tokens": 7},
            },
            7,
        ),
        (
            {
                "results": [{"index": 0, "relevance_score": 0.2}, {"index": 1, "relevance_score": 0.9}],
                "meta": {"tokens": {"input_tokens": 5}},
            },
            5,
        ),
        ([{"index": 0, "score": 0.2}, {"index": 1, "score": 0.9}], 0),
    ],
    ids=["jina", "cohere", "tei"],
)
async def test_a_ranking_is_read_in_every_form_the_best_first(body: Any, tokens: int) -> None:
    async with remote_endpoint(answering(body), type="rerank") as (endpoint, _):
        request = proxy_request(Route.RERANK, choices=2, query="q", documents=["a", "b"])
        found = await endpoint.rerank(request)
    assert (found.scores, found.tokens) == ([(1, 0.9), (0, 0.2)], tokens)


@pytest.mark.parametrize(
    "body",
    [5, {}, {"results": 5}, {"results": [5]}, [{"index": 2, "score": 1}], [{"index": 0, "score": "x"}]],
)
async def test_malformed_rankings_are_errors(body: Any) -> None:
    async with remote_endpoint(answering(body), type="rerank") as (endpoint, _):
        with pytest.raises(UpstreamError):
            await endpoint.rerank(proxy_request(Route.RERANK, choices=2, query="q", documents=["a", "b"]))
