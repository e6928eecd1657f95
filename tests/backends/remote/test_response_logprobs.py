"""Log probabilities of an endpoint in both forms, whole and streamed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from inference.api.answers import chat_logprobs, text_logprobs
from inference.backends.remote.response_logprobs import LogprobsReader, UnreadableLogprobs
from inference.contracts import (
    Finish,
    FinishReason,
    ProxyRequest,
    Route,
    ScoredToken,
    Text,
    TokenLogprob,
    Usage,
)
from inference.errors import UpstreamError
from tests.backends.remote.remotes import collect, drain, proxy_request, remote_endpoint
from tests.backends.remote.upstream import answering, chat, chunk, streaming, usage, usage_only

HALF, OTHER_HALF = TokenLogprob("�", b"\xc3", -0.5), TokenLogprob("�", b"\xa9", -0.25)
A, B = TokenLogprob("a", b"a", -1.0), TokenLogprob("b", b"b", -2.0)


def record(one: TokenLogprob, *top: TokenLogprob) -> dict[str, Any]:
    logprobs = {"token": one.text, "logprob": one.logprob, "bytes": list(one.data)}
    return logprobs | ({"top_logprobs": [record(other) for other in top]} if top else {})


def of_chat(*records: dict[str, Any]) -> dict[str, Any]:
    return {"content": list(records), "refusal": None}


def lists(*tokens: tuple[str, float | None], **more: Any) -> dict[str, Any]:
    logprobs = {"tokens": [token for token, _ in tokens], "token_logprobs": [value for _, value in tokens]}
    return {**logprobs, **more}


def scored(body: Any, logprobs: dict[str, Any]) -> Any:
    (choice,) = body["choices"]
    return {**body, "choices": [{**choice, "logprobs": logprobs}]}


def of_text(text: str, logprobs: Any = None, reason: str | None = None) -> Any:
    choice = {"index": 0, "text": text, "logprobs": logprobs, "finish_reason": reason}
    return {"choices": [choice]}


def test_records_keep_bytes_and_count_characters() -> None:
    reader = LogprobsReader()
    assert reader.read(of_chat(record(HALF, HALF, A))) == (ScoredToken(HALF, (HALF, A), 0),)
    found = reader.read(of_chat(record(OTHER_HALF), record(A)))
    assert found == (ScoredToken(OTHER_HALF, (), 0), ScoredToken(A, (), 1))


def test_records_without_bytes_are_their_text() -> None:
    (found,) = LogprobsReader().read({"content": [{"token": "é", "logprob": -1, "bytes": None}]})
    assert found.token == TokenLogprob("é", "é".encode(), -1.0)


def test_a_refusal_is_scored_like_an_answer() -> None:
    assert LogprobsReader().read({"content": None, "refusal": [record(A)]}) == (ScoredToken(A, (), 0),)


def test_parallel_lists_survive_a_round_trip() -> None:
    logprobs = lists(
        ("a", None),
        ("bytes:\\xc3", -0.5),
        top_logprobs=[None, {"bytes:\\xc3": -0.5, "b": -2.0}],
        text_offset=[7, 8],
    )
    found = LogprobsReader().read(logprobs)
    assert found[0] == ScoredToken(TokenLogprob("a", b"a", None), (), 7)
    assert found[1] == ScoredToken(HALF, (HALF, B), 8)
    assert text_logprobs(found) == logprobs


def test_parallel_lists_without_tops_and_offsets_are_read() -> None:
    found = LogprobsReader().read(lists(("a", -1.0), ("b", -2.0), top_logprobs=None))
    assert found == (ScoredToken(A, (), 0), ScoredToken(B, (), 1))


@pytest.mark.parametrize(
    "logprobs",
    [
        5,
        [],
        {"content": 5},
        {"content": [5]},
        {"content": [{"token": "a"}]},
        {"content": [{"token": "a", "logprob": "low"}]},
        {"content": [{"token": "a", "logprob": 1e999}]},
        {"content": [{"token": "a", "logprob": -1, "bytes": [256]}]},
        {"content": [{"token": "a", "logprob": -1, "top_logprobs": [None]}]},
        {"tokens": ["a"]},
        {"tokens": ["a"], "token_logprobs": []},
        {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": []},
        {"tokens": ["a"], "token_logprobs": [-1], "text_offset": ["x"]},
        {"tokens": "a", "token_logprobs": [-1]},
    ],
)
def test_other_forms_are_unreadable(logprobs: Any) -> None:
    with pytest.raises(UnreadableLogprobs):
        LogprobsReader().read(logprobs)


async def test_a_whole_chat_has_its_scores() -> None:
    logprobs = of_chat(record(A, A, B), record(B))
    async with remote_endpoint(answering(scored(chat("ab"), logprobs))) as (endpoint, _):
        text, finish = await collect(endpoint, proxy_request(logprobs=True))
    assert text == Text("ab", (ScoredToken(A, (A, B), 0), ScoredToken(B, (), 1)))
    assert isinstance(finish, Finish)
    content = chat_logprobs(text.scores)["content"]
    assert content == [record(A, A, B), {**record(B), "top_logprobs": []}]


async def test_a_token_of_half_a_character_has_its_score() -> None:
    script = streaming(
        [
            chunk("", role="assistant"),
            scored(chunk(""), of_chat(record(HALF))),
            scored(chunk("é"), of_chat(record(OTHER_HALF))),
            scored(chunk("a"), of_chat(record(A))),
            chunk(reason="stop"),
            usage(5, 3),
        ]
    )
    async with remote_endpoint(script) as (endpoint, _):
        assert await collect(endpoint, proxy_request(stream=True, logprobs=True)) == [
            Text("", (ScoredToken(HALF, (), 0),)),
            Text("é", (ScoredToken(OTHER_HALF, (), 0),)),
            Text("a", (ScoredToken(A, (), 1),)),
            Finish(FinishReason.STOP, Usage(5, 3)),
        ]


async def test_a_streamed_completion_has_its_scores() -> None:
    bodies = [
        of_text("a", lists(("a", -1.0), top_logprobs=[{"a": -1.0}], text_offset=[4])),
        of_text("b", lists(("b", -2.0), top_logprobs=[{"a": -1.0}], text_offset=[5]), "length"),
    ]
    async with remote_endpoint(streaming(bodies)) as (endpoint, _):
        first, second, _ = await collect(
            endpoint, proxy_request(Route.COMPLETIONS, stream=True, prompt="once", logprobs=0)
        )
    assert first == Text("a", (ScoredToken(A, (A,), 4),))
    assert second == Text("b", (ScoredToken(B, (A,), 5),))


async def test_each_choice_counts_its_own_offsets() -> None:
    choices = [
        {"index": index, "text": text, "finish_reason": "stop", "logprobs": lists((text, -1.0), ("b", -2.0))}
        for index, text in enumerate(("long", "a"))
    ]
    request = proxy_request(Route.COMPLETIONS, choices=2, prompt="x", logprobs=1, n=2)
    async with remote_endpoint(answering({"choices": choices, **usage_only(1, 4)})) as (endpoint, _):
        found = await asyncio.gather(*(drain(events) for events in endpoint.generate(request)))
    offsets = [[one.offset for one in events[0].scores] for events in found if isinstance(events[0], Text)]
    assert offsets == [[0, 4], [0, 1]]


@pytest.mark.parametrize("logprobs", [None, False])
async def test_unrequested_logprobs_are_not_read(logprobs: bool | None) -> None:
    body = scored(chat("a"), {"strange": "things", "content": 5})
    request = proxy_request() if logprobs is None else proxy_request(logprobs=logprobs)
    async with remote_endpoint(answering(body)) as (endpoint, _):
        assert (await collect(endpoint, request))[0] == Text("a")


@pytest.mark.parametrize("stream", [False, True])
async def test_unreadable_logprobs_are_an_upstream_error(stream: bool) -> None:
    body = scored(chunk("a", reason="stop") if stream else chat("a"), {"content": 5})
    script = streaming([body]) if stream else answering(body)
    async with remote_endpoint(script) as (endpoint, _):
        with pytest.raises(UpstreamError, match="log probabilities that cannot be read"):
            await collect(
                endpoint, ProxyRequest(Route.CHAT, {"messages": [], "logprobs": True}, "", 1, stream)
            )


async def test_reasoning_tokens_of_the_endpoint_are_counted() -> None:
    counts = {
        "prompt_tokens": 5,
        "completion_tokens": 9,
        "completion_tokens_details": {"reasoning_tokens": 6},
    }
    async with remote_endpoint(answering(chat("a", usage=counts))) as (endpoint, _):
        *_, finish = await collect(endpoint, proxy_request())
    assert finish == Finish(FinishReason.STOP, Usage(5, 9, 0, 6))
