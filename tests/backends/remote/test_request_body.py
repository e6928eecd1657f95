"""What the endpoint is sent, for what the caller sent."""

from typing import Any

import pytest

from inference.backends.remote.request_body import address, translate
from inference.contracts import ProxyRequest, Route
from tests.backends.remote.remotes import MESSAGES, asked, card_of

NAMES = ("max_tokens", "seed", "stop", "tools", "tool_choice", "response_format")
DECLARED: dict[str, Any] = {name: {} for name in NAMES}


def sent(request: ProxyRequest, **card: Any) -> dict[str, Any]:
    return translate(request, card_of(**card))[0]


def headers(request: ProxyRequest, **card: Any) -> dict[str, str]:
    return translate(request, card_of(**card))[1]


@pytest.mark.parametrize(
    ("dialect", "url", "route", "version", "address_"),
    [
        (
            "azure-ai-inference",
            "https://a/models",
            "chat",
            "2025-04-01",
            "https://a/models/{}?api-version=2025-04-01",
        ),
        ("azure-ai-inference", "https://a", "chat", "openai", "https://a/{}?api-version=2024-05-01-preview"),
        (
            "azure-openai",
            "https://a/",
            "chat",
            "2025-04-01",
            "https://a/openai/deployments/the%2Fone/{}?api-version=2024-10-21",
        ),
        ("openai", "https://a/v1/", "chat", "2025-04-01", "https://a/v1/{}"),
    ],
)
def test_addresses(dialect: str, url: str, route: str, version: str, address_: str) -> None:
    remote = card_of(url, dialect, model="the/one").remote
    assert remote is not None
    assert address(remote, Route.CHAT, version) == address_.format("chat/completions")


def test_a_card_can_say_the_version() -> None:
    for dialect in ("azure-ai-inference", "azure-openai", "openai"):
        remote = card_of("https://a", dialect, api_version="preview").remote
        assert remote is not None
        assert address(remote, Route.EMBEDDINGS, "2025-04-01").endswith("/embeddings?api-version=preview")


def test_the_model_is_called_what_the_endpoint_calls_it() -> None:
    request = asked(model="far")
    assert sent(request)["model"] == "theirs"
    assert "model" not in sent(request, dialect="azure-openai")
    assert "model" not in sent(request, model="")


def test_declared_parameters_go_as_they_came() -> None:
    body: dict[str, Any] = {"max_tokens": 7, "stop": ["x"], "seed": 1}
    found = sent(asked(**body), parameters=DECLARED)
    assert found == {"messages": MESSAGES, "model": "theirs", **body}


def test_neutral_values_that_nobody_declared_stay_here() -> None:
    body: dict[str, Any] = {"frequency_penalty": 0, "logprobs": False, "response_format": "text", "n": 1}
    assert sent(asked(**body)) == {"messages": MESSAGES, "model": "theirs"}


def test_labels_stay_here_unless_anything_goes() -> None:
    labels: dict[str, Any] = {"user": "someone", "metadata": {"a": "b"}}
    assert sent(asked(**labels)) == {"messages": MESSAGES, "model": "theirs"}
    assert sent(asked(**labels), extras="any").items() >= labels.items()


def test_any_extras_go_untouched() -> None:
    odd: dict[str, Any] = {"sparkle": [1, {"deep": None}], "top_k": 5, "safe_prompt": True}
    assert sent(asked(**odd), extras="any").items() >= odd.items()


def test_only_this_api_is_told_to_pass_extras_through() -> None:
    extra, plain = asked(top_k=5), asked(seed=1)
    declared: dict[str, Any] = {"extras": {"top_k": {}}, "parameters": {"seed": {}}}
    assert headers(extra, **declared)["extra-parameters"] == "pass-through"
    assert "extra-parameters" not in headers(plain, **declared)
    assert "extra-parameters" not in headers(extra, dialect="openai", **declared)
    assert headers(plain)["x-ms-client-request-id"] == "our-id"


def test_streams_of_openai_are_asked_for_their_usage() -> None:
    request = asked(stream=True, stream_options={"include_usage": False})
    declared: dict[str, Any] = {"extras": {"stream_options": {}}}
    assert sent(request, dialect="openai", **declared)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in sent(request, **declared)
    assert "stream_options" not in sent(request, dialect="openai", stream_usage=False)
    assert sent(request, stream_usage=True)["stream_options"] == {"include_usage": True}
    assert "stream" not in sent(asked())


def test_what_openai_writes_otherwise() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    messages = [*MESSAGES, {"role": "assistant", "tool_calls": [call]}]
    request = asked(messages=messages, response_format="json_object", stop=[], tool_choice="none")
    found = sent(request, parameters=DECLARED)
    assert found["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"a":1}'
    assert found["response_format"] == {"type": "json_object"}
    assert "stop" not in found
    assert "tool_choice" not in found
    assert messages[1]["tool_calls"][0]["function"]["arguments"] == {"a": 1}  # type: ignore[index]


def test_tools_that_must_not_be_called_stay_here() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    offered = sent(asked(tools=tools, tool_choice="auto"), parameters=DECLARED)
    assert (offered["tools"], offered["tool_choice"]) == (tools, "auto")
    assert sent(asked(tools=tools, tool_choice="none"), parameters=DECLARED).keys() == {"messages", "model"}


def test_defaults_that_are_declared_are_said() -> None:
    declared: dict[str, Any] = {"temperature": {}, "top_p": {}, "max_tokens": {}}
    assert sent(asked(), parameters=declared)["temperature"] == 0.7
    text = ProxyRequest(Route.COMPLETIONS, {"prompt": "x"}, "openai")
    assert sent(text, parameters=declared) == {
        "prompt": "x",
        "model": "theirs",
        "temperature": 1.0,
        "max_tokens": 256,
    }
    assert sent(ProxyRequest(Route.COMPLETIONS, {}, "openai"))["prompt"] == "<|endoftext|>"


def test_the_safety_sentence_is_put_before_the_conversation() -> None:
    found = sent(asked(safe_prompt=True), extras={"safe_prompt": {"text": "Be kind."}})
    assert found["messages"] == [{"role": "system", "content": "Be kind."}, *MESSAGES]
    assert "safe_prompt" not in found


def test_vectors_are_asked_for_plainly() -> None:
    body: dict[str, Any] = {"input": ["a", "b"], "input_type": "query", "dimensions": 8}
    request = asked(Route.EMBEDDINGS, encoding_format="int8", **body)
    embeds: dict[str, Any] = {"type": "embeddings", "embedding": {"dimensions": 16, "matryoshka": [8]}}
    assert sent(request, **embeds) == {"input": ["a", "b"], "input_type": "query", "model": "theirs"}
    plain = {"input": ["a", "b"], "encoding_format": "base64", "model": "theirs"}
    assert sent(request, dialect="openai", **embeds) == plain
    prompted: dict[str, Any] = {"type": "embeddings", "embedding": {"prompts": {"query": "q: "}}}
    assert sent(request, **prompted) == {"input": ["q: a", "q: b"], "model": "theirs"}
