"""`azure-ai-inference`, the sync client: chat."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from azure.ai.inference import ChatCompletionsClient, load_client
from azure.ai.inference.models import (
    AssistantMessage,
    ChatCompletionsToolDefinition,
    CompletionsFinishReason,
    FunctionDefinition,
    StreamingChatCompletionsUpdate,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError

from tests.conftest import KEYS
from tests.http.servers import Server
from tests.http.zoo import GREETING, TOOL

SAY: list[Any] = [UserMessage("Say something.")]
HEX = set("0123456789abcdef")


def client_of(server: Server, deployment: str, **options: Any) -> ChatCompletionsClient:
    return ChatCompletionsClient(
        f"{server.url}/deployments/{deployment}", AzureKeyCredential("any"), retry_total=0, **options
    )


@pytest.fixture
def greeter(endpoint: Server) -> Iterator[ChatCompletionsClient]:
    with client_of(endpoint, "greeter") as client:
        yield client


@pytest.fixture
def tiny(endpoint: Server) -> Iterator[ChatCompletionsClient]:
    with client_of(endpoint, "tiny-chat") as client:
        yield client


def updates(client: ChatCompletionsClient, **options: Any) -> list[StreamingChatCompletionsUpdate]:
    stream: Iterable[Any] = client.complete(messages=SAY, stream=True, **options)
    return list(stream)


def test_load_client_finds_a_chat_client(endpoint: Server) -> None:
    with load_client(f"{endpoint.url}/deployments/greeter", AzureKeyCredential("any")) as client:
        assert isinstance(client, ChatCompletionsClient)
        assert client.complete(messages=SAY).choices[0].message.content == GREETING


def test_load_client_on_an_endpoint_of_one_chat_deployment(lone: Server) -> None:
    with load_client(lone.url, AzureKeyCredential("any")) as client:
        assert isinstance(client, ChatCompletionsClient)


def test_whole_answer(greeter: ChatCompletionsClient) -> None:
    answer = greeter.complete(messages=[SystemMessage("Greet."), *SAY])

    assert len(answer.id) == 32
    assert set(answer.id) <= HEX
    assert answer.model == "greeter"
    assert answer["object"] == "chat.completion"
    (choice,) = answer.choices
    assert choice.message.content == GREETING
    assert choice.message.role == "assistant"
    assert choice.finish_reason == CompletionsFinishReason.STOPPED
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.completion_tokens == 10


def test_stream(greeter: ChatCompletionsClient) -> None:
    got = updates(greeter)

    assert len(got) > 2
    assert len({update.id for update in got}) == 1
    first, *later = [update.choices[0].delta for update in got]
    assert first.role == "assistant"
    assert all(delta.role is None for delta in later)
    assert all(delta.content is not None for delta in (first, *later))
    assert "".join(delta.content or "" for delta in (first, *later)) == GREETING


def test_stream_ends_with_the_finish_reason_and_the_usage(greeter: ChatCompletionsClient) -> None:
    *before, last = updates(greeter)

    assert last.choices[0].finish_reason == CompletionsFinishReason.STOPPED
    assert last.usage == greeter.complete(messages=SAY).usage
    assert all(update.choices[0].finish_reason is None for update in before)
    assert all(update.usage is None for update in before)


def test_stream_that_fails_is_raised(endpoint: Server) -> None:
    with client_of(endpoint, "breaker") as client:
        said: list[str] = []
        with pytest.raises(HttpResponseError):  # noqa: PT012  the updates before the failure arrive
            for update in client.complete(messages=SAY, stream=True):
                said += [choice.delta.content or "" for choice in update.choices or ()]
    assert "".join(said) == "So far so good"


def test_model_info(tiny: ChatCompletionsClient) -> None:
    info = tiny.get_model_info()

    assert (info.model_name, info.model_type, info.model_provider_name) == (
        "tiny-chat",
        "chat-completions",
        "tests",
    )


def test_standard_parameters(tiny: ChatCompletionsClient) -> None:
    options: dict[str, Any] = {
        "temperature": 0.9,
        "top_p": 0.9,
        "frequency_penalty": 0.5,
        "presence_penalty": 0.5,
        "max_tokens": 6,
        "stop": ["never said"],
        "seed": 11,
    }
    one: Any = tiny.complete(messages=SAY, **options)
    same: Any = tiny.complete(messages=SAY, **options)

    assert one.choices[0].message.content == same.choices[0].message.content
    assert one.choices[0].finish_reason == CompletionsFinishReason.TOKEN_LIMIT_REACHED


def test_model_extras_are_passed_through(tiny: ChatCompletionsClient) -> None:
    plain = tiny.complete(messages=SAY, max_tokens=4)
    guarded = tiny.complete(messages=SAY, max_tokens=4, model_extras={"n": 2, "safe_prompt": True})

    assert [choice.index for choice in guarded.choices] == [0, 1]
    assert guarded.usage.prompt_tokens > plain.usage.prompt_tokens
    assert guarded.usage.completion_tokens <= 8


def test_model_extras_of_the_whole_client(endpoint: Server) -> None:
    with client_of(endpoint, "tiny-chat", model_extras={"n": 3}, max_tokens=2) as client:
        assert len(client.complete(messages=SAY).choices) == 3


def test_stream_of_two_choices(tiny: ChatCompletionsClient) -> None:
    got = updates(tiny, max_tokens=3, seed=1, model_extras={"n": 2})

    for index in (0, 1):
        own = [update.choices[0] for update in got if update.choices[0].index == index]
        assert own[0].delta.role == "assistant"
        assert own[-1].finish_reason is not None
    assert [update.usage is not None for update in got] == [False] * (len(got) - 1) + [True]


def test_tool_call_and_what_follows_it(endpoint: Server) -> None:
    definition = ChatCompletionsToolDefinition(function=FunctionDefinition(TOOL["function"]))
    with client_of(endpoint, "caller", tools=[definition]) as client:
        answer = client.complete(messages=SAY)
        calls = answer.choices[0].message.tool_calls
        assert calls is not None
        (call,) = calls
        history: list[Any] = [
            *SAY,
            AssistantMessage(tool_calls=[call]),
            ToolMessage("Sunny.", tool_call_id=call.id),
        ]
        after = client.complete(messages=history)

    assert answer.choices[0].finish_reason == CompletionsFinishReason.TOOL_CALLS
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    assert after.usage.prompt_tokens > answer.usage.prompt_tokens


def test_streamed_tool_call(endpoint: Server) -> None:
    with client_of(endpoint, "caller") as client:
        got = updates(client, tools=[TOOL])

    deltas = [update.choices[0].delta for update in got]
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    assert "".join(delta.content or "" for delta in deltas) == "Let me look."
    assert calls[0].function.name == "get_weather"
    assert calls[0].id.startswith("call_")
    assert json.loads("".join(call.function.arguments for call in calls)) == {"city": "Paris"}
    assert all(call["index"] == 0 for call in calls)
    assert got[-1].choices[0].finish_reason == CompletionsFinishReason.TOOL_CALLS


@pytest.mark.parametrize(
    ("options", "status", "code", "message"),
    [
        (
            {"tool_choice": "required"},
            422,
            "parameter_not_supported",
            "tool_choice: required is not supported by greeter",
        ),
        (
            {"response_format": "json_object"},
            422,
            "parameter_not_supported",
            "response_format: json_object is not supported by greeter",
        ),
        ({"temperature": 3}, 422, "Invalid input", "temperature: 3 is more than 2"),
        (
            {"model_extras": {"wisdom": 1}},
            422,
            "parameter_not_supported",
            "wisdom is not supported by greeter",
        ),
        (
            {"headers": {"extra-parameters": "perhaps"}},
            400,
            "invalid_extra_parameters_header",
            (
                "Unexpected EXTRA_PARAMETERS option perhaps, expected options are ['error', 'drop', "
                "'pass-through', 'allow', 'ignore']"
            ),
        ),
    ],
)
def test_refusals_are_typed_errors_whose_message_names_place_and_limit(
    greeter: ChatCompletionsClient, options: dict[str, Any], status: int, code: str, message: str
) -> None:
    with pytest.raises(HttpResponseError) as refused:
        greeter.complete(messages=SAY, **options)

    assert refused.value.status_code == status
    assert refused.value.error is not None
    assert refused.value.error.code == code
    assert refused.value.error.message == message
    assert code in str(refused.value)
    assert message in str(refused.value)


def test_a_body_passed_whole_sets_no_header(tiny: ChatCompletionsClient) -> None:
    with pytest.raises(HttpResponseError) as refused:
        tiny.complete({"messages": [{"role": "user", "content": "Hi"}], "n": 2})

    assert refused.value.status_code == 400
    assert refused.value.error is not None
    assert refused.value.error.code == "extra_parameters_not_allowed"


def test_unknown_deployment(endpoint: Server) -> None:
    with client_of(endpoint, "nobody") as client, pytest.raises(ResourceNotFoundError) as refused:
        client.complete(messages=SAY)

    assert refused.value.error is not None
    assert refused.value.error.code == "unknown_model"


def test_wrong_key(locked: Server) -> None:
    with (
        ChatCompletionsClient(locked.url, AzureKeyCredential("wrong"), retry_total=0) as client,
        pytest.raises(ClientAuthenticationError) as refused,
    ):
        client.complete(messages=SAY)

    assert refused.value.status_code == 401
    assert "auth token validation failed" in str(refused.value).lower()


def test_right_key(locked: Server) -> None:
    with ChatCompletionsClient(locked.url, AzureKeyCredential(KEYS[1])) as client:
        assert client.complete(messages=SAY, max_tokens=2).usage.completion_tokens <= 2
