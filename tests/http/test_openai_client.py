"""The `openai` package, as Azure OpenAI and as OpenAI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest
from openai import AzureOpenAI, OpenAI

from tests.conftest import KEYS
from tests.http.servers import Server
from tests.http.zoo import AROUND, GREETING, SHORTER, TOOL
from tests.support.encoders import CLS, DIMENSIONS, SEP

Client = OpenAI | AzureOpenAI
SAY: Any = [{"role": "user", "content": "Say something."}]
BASES = ("azure", "/openai/v1", "/v1")


def client_of(server: Server, base: str, key: str = "any") -> Client:
    if base == "azure":
        return AzureOpenAI(azure_endpoint=server.url, api_version="2024-10-21", api_key=key, max_retries=0)
    return OpenAI(base_url=server.url + base, api_key=key, max_retries=0)


@pytest.fixture(params=BASES)
def client(request: pytest.FixtureRequest, endpoint: Server) -> Iterator[Client]:
    with client_of(endpoint, request.param) as made:
        yield made


@pytest.fixture
def v1(endpoint: Server) -> Iterator[Client]:
    with client_of(endpoint, "/openai/v1") as made:
        yield made


def test_whole_chat(client: Client) -> None:
    answer = client.chat.completions.create(model="greeter", messages=SAY, max_completion_tokens=20)

    assert answer.id.startswith("chatcmpl-")
    assert len(answer.id) == len("chatcmpl-") + 29
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.content == GREETING
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_streamed_chat_has_no_usage_unasked(client: Client) -> None:
    chunks = list(client.chat.completions.create(model="greeter", messages=SAY, stream=True))

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == GREETING
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


def test_streamed_chat_with_usage(client: Client) -> None:
    *chunks, last = client.chat.completions.create(
        model="greeter", messages=SAY, stream=True, stream_options={"include_usage": True}
    )

    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 10
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_parameters_of_openai_are_native(client: Client) -> None:
    answer = client.chat.completions.create(
        model="tiny-chat", messages=SAY, n=2, seed=1, logit_bias={"65": -100}, max_tokens=3, temperature=1.5
    )

    assert [choice.index for choice in answer.choices] == [0, 1]


def test_completions(client: Client) -> None:
    answer = client.completions.create(model="greeter", prompt=["Once", "Twice"], max_tokens=20)

    assert answer.id.startswith("cmpl-")
    assert answer.object == "text_completion"
    assert [(choice.index, choice.text) for choice in answer.choices] == [(0, GREETING), (1, GREETING)]


def test_streamed_completions(client: Client) -> None:
    chunks = list(client.completions.create(model="greeter", prompt="Once", stream=True))

    assert "".join(chunk.choices[0].text for chunk in chunks) == GREETING
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_embeddings_in_base64_are_those_in_float(client: Client) -> None:
    base64 = client.embeddings.create(model="tiny-embed", input="a red house")
    plain = client.embeddings.create(model="tiny-embed", input=["a red house"], encoding_format="float")

    assert len(base64.data[0].embedding) == DIMENSIONS
    np.testing.assert_allclose(base64.data[0].embedding, plain.data[0].embedding, atol=1e-7)
    assert base64.usage.prompt_tokens == len("a red house") + AROUND


@pytest.mark.parametrize("name", ["int8", "uint8", "binary", "ubinary"])
def test_embeddings_in_every_encoding(client: Client, name: Any) -> None:
    """The package hands on what it does not know; with `dimensions` the shortened vector is encoded."""
    for size in (DIMENSIONS, SHORTER):
        asked: dict[str, Any] = {"model": "tiny-embed", "input": "a red house", "dimensions": size}
        plain = np.array(client.embeddings.create(**asked, encoding_format="float").data[0].embedding, "f4")
        encoded = client.embeddings.create(**asked, encoding_format=name).data[0].embedding

        levels = np.rint(plain * np.float32(127)).astype(int)
        bits = np.packbits(plain > 0).astype(int)
        expected = {"int8": levels, "uint8": levels + 128, "binary": bits - 128, "ubinary": bits}
        assert encoded == expected[name].tolist()


def test_embeddings_of_token_arrays_and_fewer_dimensions(client: Client) -> None:
    texts = client.embeddings.create(model="tiny-embed", input=["ab", "c"], dimensions=SHORTER)
    tokens = client.embeddings.create(
        model="tiny-embed", input=[[CLS, 97, 98, SEP], [CLS, 99, SEP]], dimensions=SHORTER
    )

    assert [item.embedding for item in texts.data] == [item.embedding for item in tokens.data]


def test_tool_call(client: Client) -> None:
    tools: Any = [TOOL]
    answer = client.chat.completions.create(model="caller", messages=SAY, tools=tools)

    assert answer.choices[0].finish_reason == "tool_calls"
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    (call,) = calls
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})


def test_streamed_tool_call(v1: Client) -> None:
    tools: Any = [TOOL]
    stream = v1.chat.completions.create(model="caller", messages=SAY, tools=tools, stream=True)
    deltas = [chunk.choices[0].delta for chunk in stream]

    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    assert {call.index for call in calls} == {0}
    arguments = "".join(call.function.arguments or "" for call in calls if call.function)
    assert json.loads(arguments) == {"city": "Paris"}


def test_models(v1: Client) -> None:
    names = [model.id for model in v1.models.list()]

    assert {"tiny-chat", "greeter", "tiny-embed", "tiny-images"} <= set(names)
    assert v1.models.retrieve("greeter").owned_by == "tests"
    with pytest.raises(openai.NotFoundError) as refused:
        v1.models.retrieve("nobody")
    assert refused.value.code == "unknown_model"


def test_unknown_parameter(client: Client) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="greeter", messages=SAY, extra_body={"wisdom": 3})

    assert (refused.value.code, refused.value.param) == ("extra_parameters_not_allowed", "wisdom")
    assert refused.value.type == "invalid_request_error"
    assert "wisdom" in refused.value.message


def test_parameter_that_the_deployment_cannot_honour(client: Client) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.chat.completions.create(model="greeter", messages=SAY, response_format={"type": "json_object"})

    assert (refused.value.code, refused.value.param) == ("parameter_not_supported", "response_format")


def test_wrong_value(client: Client) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.chat.completions.create(model="greeter", messages=SAY, temperature=3)

    assert (refused.value.code, refused.value.param) == ("Invalid input", "temperature")


def test_unknown_deployment(client: Client) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="nobody", messages=SAY)

    assert refused.value.code == "unknown_model"
    assert refused.value.type == "not_found_error"


@pytest.mark.parametrize("base", BASES)
def test_wrong_key(locked: Server, base: str) -> None:
    with client_of(locked, base, "wrong") as client, pytest.raises(openai.AuthenticationError) as refused:
        client.chat.completions.create(model="tiny-chat", messages=SAY)

    assert refused.value.code == "Unauthorized"
    assert refused.value.type == "authentication_error"


@pytest.mark.parametrize("base", BASES)
def test_right_key(locked: Server, base: str) -> None:
    with client_of(locked, base, KEYS[0]) as client:
        answer = client.chat.completions.create(model="tiny-chat", messages=SAY, max_tokens=2)

    assert answer.model == "tiny-chat"


def test_stream_that_fails_is_raised(v1: Client) -> None:
    said: list[str | None] = []
    stream = v1.chat.completions.create(model="breaker", messages=SAY, stream=True)
    with pytest.raises(openai.APIError, match="not finite"):  # noqa: PT012  what came before is kept
        for chunk in stream:
            said += [chunk.choices[0].delta.content]
    assert said == ["", "So ", "far ", "so ", "good"]


async def test_async_client(endpoint: Server) -> None:
    async with openai.AsyncOpenAI(base_url=endpoint.url + "/v1", api_key="any", max_retries=0) as client:
        stream = await client.chat.completions.create(model="greeter", messages=SAY, stream=True)
        said = [chunk.choices[0].delta.content or "" async for chunk in stream]

    assert "".join(said) == GREETING
