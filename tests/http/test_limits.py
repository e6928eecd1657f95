"""What is too large, too long or too much, under the limits that the operator sets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.http.pictures import data_url
from tests.http.refusals import offender, refusal
from tests.http.servers import MESSAGES, PATIENCE, Server

VERSION = "?api-version=2024-05-01-preview"
CHAT, TEXT = f"/chat/completions{VERSION}", f"/completions{VERSION}"
VECTORS, IMAGES = f"/embeddings{VERSION}", f"/images/embeddings{VERSION}"
MOST = 4096
"""Bytes of a body that the small endpoint takes."""


def body_of(size: int) -> bytes:
    """A request of exactly that many bytes."""
    body = json.dumps({"messages": MESSAGES, "max_tokens": 1}).encode()
    return body + b" " * (size - len(body))


def in_pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 1000):
        yield body[start : start + 1000]


def test_body_of_the_limit(small: Server) -> None:
    assert small.post(CHAT, content=body_of(MOST)).status_code == 200
    assert small.post(CHAT, content=in_pieces(body_of(MOST))).status_code == 200


@pytest.mark.parametrize("size", [MOST + 1, 2_000_000])
def test_body_beyond_the_limit(small: Server, size: int) -> None:
    message = f"The body is larger than {MOST} bytes, the limit of this endpoint."
    declared = refusal(small.post(CHAT, content=body_of(size)), 413, "request_too_large")

    assert declared["message"] == message
    assert small.post(CHAT, content=body_of(MOST)).status_code == 200


def test_body_of_unknown_length_beyond_the_limit(small: Server) -> None:
    refusal(small.post(CHAT, content=in_pieces(body_of(MOST + 1))), 413, "request_too_large")

    assert small.post(CHAT, content=body_of(MOST)).status_code == 200


def test_prompt_longer_than_the_context(endpoint: Server) -> None:
    messages = [{"role": "user", "content": "y" * 600}]
    body = refusal(endpoint.chat("greeter", messages=messages), 422, "parameter_not_supported")

    assert body["detail"]["loc"] == ["body", "messages"]
    (detail,) = body["error"]["details"]
    assert detail["message"] == f"the prompt has {body['detail']['input']} tokens, greeter takes 512"
    assert body["detail"]["input"] > 600


@pytest.mark.parametrize(
    ("prompt", "place"),
    [("y" * 600, []), (["a", "y" * 600], [1]), ([5] * 600, []), ([[5], [5] * 600], [1])],
)
def test_completions_prompt_longer_than_the_context(endpoint: Server, prompt: Any, place: list[int]) -> None:
    answer = endpoint.post("/deployments/tiny-text/completions", {"prompt": prompt})

    body = refusal(answer, 422, "parameter_not_supported")
    assert body["detail"]["loc"] == ["body", "prompt", *place]
    assert body["error"]["details"][0]["message"] == "the prompt has 600 tokens, tiny-text takes 512"


def test_a_stream_of_a_prompt_that_is_too_long_is_refused_like_a_whole_answer(endpoint: Server) -> None:
    answer = endpoint.chat("greeter", messages=[{"role": "user", "content": "y" * 600}], stream=True)

    refusal(answer, 422, "parameter_not_supported")


@pytest.mark.parametrize(
    ("value", "place"),
    [("y" * 70, []), (["a", "y" * 70], [1]), ([5] * 70, []), ([[5], [5] * 70], [1])],
)
def test_embeddings_input_longer_than_the_model_takes(endpoint: Server, value: Any, place: list[int]) -> None:
    answer = endpoint.post("/deployments/tiny-embed/embeddings", {"input": value})

    body = refusal(answer, 422, "parameter_not_supported")
    assert body["detail"]["loc"] == ["body", "input", *place]
    tokens = 72 if "y" in str(value) else 70
    assert body["error"]["details"][0]["message"] == f"the input has {tokens} tokens, tiny-embed takes 64"


def test_the_prompt_of_an_input_type_counts(endpoint: Server) -> None:
    path, body = "/deployments/tiny-embed/embeddings", {"input": "y" * 60}
    assert endpoint.post(path, {**body, "input_type": "document"}).status_code == 200
    answer = endpoint.post(path, {**body, "input_type": "query"})

    assert offender(answer, 422, "parameter_not_supported")[0] == ["body", "input"]


def test_too_many_inputs(small: Server) -> None:
    assert small.post(VECTORS, {"input": ["a"] * 3}).status_code == 200
    assert offender(small.post(VECTORS, {"input": ["a"] * 4}), 413, "request_too_large") == (
        ["body", "input"],
        4,
    )
    answer = small.post(IMAGES, {"input": [{"image": data_url()}] * 4})
    assert offender(answer, 413, "request_too_large") == (["body", "input"], 4)


def test_picture_with_too_many_pixels(small: Server) -> None:
    assert small.post(IMAGES, {"input": [{"image": data_url(edge=8)}]}).status_code == 200
    answer = small.post(IMAGES, {"input": [{"image": data_url()}, {"image": data_url(edge=9)}]})

    assert offender(answer, 422, "Invalid input")[0] == ["body", "input", 1, "image"]
    assert "9 x 9 pixels" in answer.json()["error"]["details"][0]["message"]


def test_too_many_choices(small: Server) -> None:
    header = {"extra-parameters": "allow"}
    many = small.post(CHAT, {"messages": MESSAGES, "n": 5}, headers=header)
    assert offender(many, 413, "request_too_large") == (["body", "n"], 5)
    prompts = small.post(TEXT, {"prompt": ["a"] * 5})
    assert offender(prompts, 413, "request_too_large") == (["body", "prompt"], 5)
    both = small.post(TEXT, {"prompt": ["a"] * 3, "n": 2}, headers=header)
    assert offender(both, 413, "request_too_large") == (["body", "n"], 6)


async def test_full_queue(small: Server) -> None:
    """Two endless streams hold both slots; of two more choices one waits, and one is too many."""
    async with httpx.AsyncClient(base_url=small.url, trust_env=False, timeout=PATIENCE) as http:
        async with AsyncExitStack() as held:
            body = {"messages": MESSAGES, "stream": True, "max_tokens": 50_000}
            for _ in range(2):
                answer = await held.enter_async_context(http.stream("POST", CHAT, json=body))
                assert answer.status_code == 200
            refused = await http.post(
                CHAT,
                json={"messages": MESSAGES, "n": 2, "max_tokens": 1},
                headers={"extra-parameters": "allow"},
            )
            waiting = asyncio.create_task(http.post(CHAT, json={"messages": MESSAGES, "max_tokens": 1}))
            await asyncio.sleep(0)

        answer = await waiting

    assert answer.status_code == 200
    refusal(refused, 429, "RateLimitReached")
    assert int(refused.headers["retry-after"]) >= 1
