"""The chat client for endpoints over HTTP."""

from __future__ import annotations

import pytest

from inference.cli.chat_client import Refusal
from inference.cli.http_chat_client import HttpChatClient
from tests.conftest import KEYS
from tests.http.servers import Server
from tests.http.zoo import GREETING, HELLO

STOP = 1
"""Tokens that end an answer, which count."""


@pytest.mark.parametrize("base", ["", "/", "/openai/v1", "/deployments/greeter", "/chat/completions"])
async def test_every_base_path_answers(endpoint: Server, base: str) -> None:
    client = HttpChatClient(endpoint.url + base, model="greeter")
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    pieces = [piece async for piece in client.answer(body)]
    await client.close()
    assert "".join(piece.text for piece in pieces) == GREETING
    assert [piece.usage["completion_tokens"] for piece in pieces if piece.usage] == [len(HELLO) + STOP]


@pytest.mark.parametrize(("key", "accepted"), [(KEYS[0], True), ("wrong", False), ("", False)])
async def test_an_endpoint_with_keys_accepts_the_right_one_only(
    locked: Server, key: str, accepted: bool
) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    client = HttpChatClient(locked.url, key=key)
    if accepted:
        assert [piece async for piece in client.answer(body)]
    else:
        with pytest.raises(Refusal):
            _ = [piece async for piece in client.answer(body)]
    await client.close()


async def test_an_unreachable_endpoint_is_a_refusal() -> None:
    client = HttpChatClient("http://127.0.0.1:9")
    with pytest.raises(Refusal, match="cannot be reached"):
        _ = [piece async for piece in client.answer({"messages": []})]
    await client.close()


def test_a_name_that_is_not_a_url_is_a_refusal() -> None:
    with pytest.raises(Refusal, match="greeter is not a URL of an endpoint"):
        HttpChatClient("greeter")
