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
    assert refused.value.code == "model_not_found"


def test_unknown_parameter(client: Client) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="greeter", messages=SAY, extra_body={"wisdom": 3})

    assert (refused.value.code, refused.value.param) == ("unknown_parameter", "wisdom")
    assert refused.value.type == "invalid_request_error"
    assert "wisdom" in refused.value.message


def test_parameter_that_the_deployment_cannot_honour(client: Client) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="greeter", messages=SAY, response_format={"type": "json_object"})

    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "response_format")


WRONG: list[tuple[dict[str, Any], str, str, str]] = [
    ({"temperature": 5}, "decimal_above_max_value", "temperature", "temperature: 5 is more than 2"),
    ({"top_p": -0.5}, "decimal_below_min_value", "top_p", "top_p: -0.5 is less than 0"),
    ({"n": 129}, "integer_above_max_value", "n", "n: 129 is more than 128"),
    ({"n": 0}, "integer_below_min_value", "n", "n: 0 is less than 1"),
    ({"n": 5.5}, "invalid_type", "n", "n: must be an integer, not 5.5"),
    ({"stop": {}}, "invalid_type", "stop", "stop: must be a string or an array of strings, not an object"),
    ({"messages": []}, "empty_array", "messages", "messages: must not be empty"),
    (
        {"messages": [{"role": "user"}]},
        "missing_required_parameter",
        "messages[0].content",
        "messages[0].content: is required, but missing",
    ),
    (
        {"messages": [{"role": "king", "content": "x"}]},
        "invalid_value",
        "messages[0].role",
        "messages[0].role: must be one of 'system', 'developer', 'user', 'assistant', 'tool', not 'king'",
    ),
    (
        {"reasoning_effort": "low"},
        "unsupported_parameter",
        "reasoning_effort",
        "reasoning_effort: low is not supported by greeter",
    ),
    (
        {"tool_choice": 5},
        "invalid_type",
        "tool_choice",
        "tool_choice: must be one of 'auto', 'none' or 'required', not 5",
    ),
]


@pytest.mark.parametrize(("body", "code", "param", "message"), WRONG, ids=[str(case[0]) for case in WRONG])
def test_wrong_value(client: Client, body: dict[str, Any], code: str, param: str, message: str) -> None:
    asked = {"model": "greeter", "messages": SAY, **body}
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**asked)

    assert refused.value.type == "invalid_request_error"
    assert (refused.value.code, refused.value.param) == (code, param)
    assert refused.value.body["message"] == message  # type: ignore[index]
    assert refused.value.request_id


def test_several_wrong_values_are_all_named(v1: Client) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        v1.chat.completions.create(model="greeter", messages=SAY, temperature=5, n=0)

    assert refused.value.param == "temperature"
    assert refused.value.body == {
        "message": "temperature: 5 is more than 2; n: 0 is less than 1",
        "type": "invalid_request_error",
        "param": "temperature",
        "code": "decimal_above_max_value",
        "details": [
            {
                "message": "temperature: 5 is more than 2",
                "param": "temperature",
                "code": "decimal_above_max_value",
            },
            {"message": "n: 0 is less than 1", "param": "n", "code": "integer_below_min_value"},
        ],
    }


TOO_LONG = "y" * 600


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_over_the_context_has_the_wording_and_the_code_of_openai(
    client: Client, stream: bool
) -> None:
    messages: Any = [{"role": "user", "content": TOO_LONG}]
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="greeter", messages=messages, stream=stream)

    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")
    assert refused.value.body["message"] == (  # type: ignore[index]
        "This model's maximum context length is 512 tokens. However, your messages resulted in 619 tokens. "
        "Please reduce the length of the messages (context_length_exceeded)."
    )


def test_texts_over_the_context_have_the_code_of_openai(client: Client) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(model="greeter", prompt=["a", TOO_LONG])
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "prompt[1]")
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model="tiny-embed", input=["a", TOO_LONG])
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "input[1]")
    assert "maximum context length is 64 tokens" in refused.value.message
    assert "602 tokens" in refused.value.message


def test_unknown_deployment(client: Client) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="nobody", messages=SAY)

    assert refused.value.code == "model_not_found"
    assert refused.value.param == "model"
    assert refused.value.type == "not_found_error"


@pytest.mark.parametrize("base", BASES)
def test_wrong_key(locked: Server, base: str) -> None:
    with client_of(locked, base, "wrong") as client, pytest.raises(openai.AuthenticationError) as refused:
        client.chat.completions.create(model="tiny-chat", messages=SAY)

    assert refused.value.code == "invalid_api_key"
    assert refused.value.type == "authentication_error"


@pytest.mark.parametrize("base", BASES)
def test_right_key(locked: Server, base: str) -> None:
    with client_of(locked, base, KEYS[0]) as client:
        answer = client.chat.completions.create(model="tiny-chat", messages=SAY, max_tokens=2)

    assert answer.model == "tiny-chat"


def test_stream_that_fails_is_raised(v1: Client) -> None:
    said: list[str | None] = []
    stream = v1.chat.completions.create(model="breaker", messages=SAY, stream=True)
    with pytest.raises(openai.APIError, match="not finite") as broken:  # noqa: PT012  what came before is kept
        for chunk in stream:
            said += [chunk.choices[0].delta.content]
    assert (broken.value.code, broken.value.type) == ("model_failed", "server_error")
    assert said == ["", "So ", "far ", "so ", "good"]


async def test_async_client(endpoint: Server) -> None:
    async with openai.AsyncOpenAI(base_url=endpoint.url + "/v1", api_key="any", max_retries=0) as client:
        stream = await client.chat.completions.create(model="greeter", messages=SAY, stream=True)
        said = [chunk.choices[0].delta.content or "" async for chunk in stream]

    assert "".join(said) == GREETING


def test_every_answer_has_its_id_and_its_time(client: Client) -> None:
    create = client.chat.completions.with_raw_response.create
    whole = create(model="greeter", messages=SAY)
    stream = create(model="greeter", messages=SAY, stream=True)
    models = client.models.with_raw_response.list()

    for answer in (whole, stream, models):
        assert answer.headers["x-request-id"] == answer.headers["x-ms-request-id"]
        assert answer.headers["openai-processing-ms"].isdecimal()
    stream.http_response.close()
    assert whole.parse()._request_id == whole.headers["x-request-id"]


def test_a_choice_among_allowed_tools_is_honoured(v1: Client) -> None:
    other: Any = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
    choice: Any = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "find"}}]},
    }
    tools: Any = [TOOL, other]
    answer = v1.chat.completions.create(
        model="babbler",
        messages=SAY,
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=False,
        seed=1,
        max_tokens=400,
    )
    calls: Any = answer.choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["find"]
    choice["allowed_tools"]["mode"] = "auto"
    free = v1.chat.completions.create(model="caller", messages=SAY, tools=tools, tool_choice=choice)
    assert free.choices[0].message.tool_calls is None
    assert "get_weather" in (free.choices[0].message.content or "")


def test_a_json_object_is_held_to_its_schema(v1: Client) -> None:
    schema = {"properties": {"a": {"type": "boolean"}}, "required": ["a"], "additionalProperties": False}
    wanted: Any = {"type": "json_object", "schema": schema}
    answer = v1.chat.completions.create(model="babbler", messages=SAY, response_format=wanted, max_tokens=60)
    assert isinstance(json.loads(answer.choices[0].message.content or "")["a"], bool)


def test_a_history_with_refusals_reasoning_and_records_is_taken(v1: Client) -> None:
    history: Any = [
        {"role": "developer", "content": "Be kind.", "name": "us"},
        *SAY,
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I will not."}]},
        {"role": "user", "content": "Please.", "name": "ann"},
        {
            "role": "assistant",
            "content": None,
            "refusal": "I still will not.",
            "reasoning": "Hm.",
            "annotations": [],
            "parsed": {"sorry": True},
            "audio": None,
            "function_call": None,
            "tool_calls": None,
        },
        {"role": "user", "content": [{"type": "text", "text": "Why?", "prompt_cache_breakpoint": {}}]},
    ]
    answer = v1.chat.completions.create(
        model="greeter",
        messages=history,
        service_tier="default",
        store=False,
        n=1,
        safety_identifier="ann",
        prompt_cache_key="key",
        prompt_cache_retention="24h",
        prompt_cache_options={"mode": "explicit"},
        metadata={"a": "b"},
        verbosity="medium",
        reasoning_effort="none",
    )
    assert answer.choices[0].message.content == GREETING


def test_an_answer_of_the_client_can_be_sent_back(client: Client) -> None:
    first = client.chat.completions.create(model="greeter", messages=SAY)
    message = first.choices[0].message
    for sent in (message, message.model_dump()):
        again: Any = [*SAY, sent, *SAY]
        answer = client.chat.completions.create(model="greeter", messages=again)
        assert answer.choices[0].message.content == GREETING


@pytest.mark.parametrize("base", BASES)
def test_a_foreign_name_is_refused_with_the_list_unless_it_is_an_alias(
    lone: Server, aliased: Server, base: str
) -> None:
    with client_of(lone, base) as strict, pytest.raises(openai.NotFoundError, match="tiny-chat"):
        strict.chat.completions.create(model="gpt-4o", messages=SAY)
    with client_of(aliased, base) as known:
        assert known.chat.completions.create(model="gpt-4o", messages=SAY, max_tokens=1).model == "tiny-chat"
        vectors = known.embeddings.create(model="text-embedding-3-small", input="one")
        assert vectors.model == "tiny-embed"
        assert "gpt-4o" in [model.id for model in known.models.list()] or base == "azure"
