"""The URL, body and headers for an endpoint, by the caller's request."""

from typing import Any

import pytest

from inference.backends.remote.request_body import build_request, endpoint_url
from inference.contracts import ProxyRequest, Route
from tests.backends.remote.remotes import MESSAGES, card_of, proxy_request

NAMES = ("max_tokens", "seed", "stop", "tools", "tool_choice", "response_format")
DECLARED: dict[str, Any] = {name: {} for name in NAMES}


def sent(request: ProxyRequest, **card: Any) -> dict[str, Any]:
    return build_request(request, card_of(**card))[0]


def headers(request: ProxyRequest, **card: Any) -> dict[str, str]:
    return build_request(request, card_of(**card))[1]


@pytest.mark.parametrize(
    ("dialect", "url", "route", "version", "expected"),
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
def test_each_api_has_its_urls(dialect: str, url: str, route: str, version: str, expected: str) -> None:
    remote = card_of(url, dialect, model="the/one").remote
    assert remote is not None
    assert endpoint_url(remote, Route.CHAT, version) == expected.format("chat/completions")


def test_the_api_version_of_the_card_wins() -> None:
    for dialect in ("azure-ai-inference", "azure-openai", "openai"):
        remote = card_of("https://a", dialect, api_version="preview").remote
        assert remote is not None
        assert endpoint_url(remote, Route.EMBEDDINGS, "2025-04-01").endswith(
            "/embeddings?api-version=preview"
        )


def test_the_model_has_the_endpoint_s_name() -> None:
    request = proxy_request(model="far")
    assert sent(request)["model"] == "theirs"
    assert "model" not in sent(request, dialect="azure-openai")
    assert "model" not in sent(request, model="")


def test_declared_parameters_are_sent_unchanged() -> None:
    body: dict[str, Any] = {"max_tokens": 7, "stop": ["x"], "seed": 1}
    found = sent(proxy_request(**body), parameters=DECLARED)
    assert found == {"messages": MESSAGES, "model": "theirs", **body}


def test_neutral_values_of_undeclared_parameters_are_not_sent() -> None:
    body: dict[str, Any] = {"frequency_penalty": 0, "logprobs": False, "response_format": "text", "n": 1}
    assert sent(proxy_request(**body)) == {"messages": MESSAGES, "model": "theirs"}


def test_labels_are_sent_only_if_any_extras_are() -> None:
    labels: dict[str, Any] = {"user": "someone", "metadata": {"a": "b"}}
    assert sent(proxy_request(**labels)) == {"messages": MESSAGES, "model": "theirs"}
    assert sent(proxy_request(**labels), extras="any").items() >= labels.items()


def test_any_extras_are_sent_unchanged() -> None:
    odd: dict[str, Any] = {"sparkle": [1, {"deep": None}], "top_k": 5, "safe_prompt": True}
    assert sent(proxy_request(**odd), extras="any").items() >= odd.items()


def test_only_this_api_gets_the_pass_through_header() -> None:
    extra, plain = proxy_request(top_k=5), proxy_request(seed=1)
    declared: dict[str, Any] = {"extras": {"top_k": {}}, "parameters": {"seed": {}}}
    assert headers(extra, **declared)["extra-parameters"] == "pass-through"
    assert "extra-parameters" not in headers(plain, **declared)
    assert "extra-parameters" not in headers(extra, dialect="openai", **declared)
    assert headers(plain)["x-ms-client-request-id"] == "our-id"


def test_streams_of_openai_request_their_usage() -> None:
    request = proxy_request(stream=True, stream_options={"include_usage": False})
    declared: dict[str, Any] = {"extras": {"stream_options": {}}}
    assert sent(request, dialect="openai", **declared)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in sent(request, **declared)
    assert "stream_options" not in sent(request, dialect="openai", stream_usage=False)
    assert sent(request, stream_usage=True)["stream_options"] == {"include_usage": True}
    assert "stream" not in sent(proxy_request())


def test_openai_gets_its_forms_of_arguments_and_formats() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    messages = [*MESSAGES, {"role": "assistant", "tool_calls": [call]}]
    request = proxy_request(messages=messages, response_format="json_object", stop=[], tool_choice="none")
    found = sent(request, parameters=DECLARED)
    assert found["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"a":1}'
    assert found["response_format"] == {"type": "json_object"}
    assert "stop" not in found
    assert "tool_choice" not in found
    assert messages[1]["tool_calls"][0]["function"]["arguments"] == {"a": 1}  # type: ignore[index]


def test_tools_that_must_not_be_called_are_not_sent() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    offered = sent(proxy_request(tools=tools, tool_choice="auto"), parameters=DECLARED)
    assert (offered["tools"], offered["tool_choice"]) == (tools, "auto")
    assert sent(proxy_request(tools=tools, tool_choice="none"), parameters=DECLARED).keys() == {
        "messages",
        "model",
    }


def test_defaults_of_declared_parameters_are_sent() -> None:
    declared: dict[str, Any] = {"temperature": {}, "top_p": {}, "max_tokens": {}}
    assert sent(proxy_request(), parameters=declared)["temperature"] == 0.7
    text = ProxyRequest(Route.COMPLETIONS, {"prompt": "x"}, "openai")
    assert sent(text, parameters=declared) == {
        "prompt": "x",
        "model": "theirs",
        "temperature": 1.0,
        "max_tokens": 256,
    }
    assert sent(ProxyRequest(Route.COMPLETIONS, {}, "openai"))["prompt"] == "<|endoftext|>"


def test_the_safe_prompt_is_the_first_message() -> None:
    found = sent(proxy_request(safe_prompt=True), extras={"safe_prompt": {"text": "Be kind."}})
    assert found["messages"] == [{"role": "system", "content": "Be kind."}, *MESSAGES]
    assert "safe_prompt" not in found


def test_embeddings_are_requested_whole_as_floats() -> None:
    body: dict[str, Any] = {"input": ["a", "b"], "input_type": "query", "dimensions": 8}
    request = proxy_request(Route.EMBEDDINGS, encoding_format="int8", **body)
    embeds: dict[str, Any] = {"type": "embeddings", "embedding": {"dimensions": 16, "matryoshka": [8]}}
    assert sent(request, **embeds) == {"input": ["a", "b"], "input_type": "query", "model": "theirs"}
    plain = {"input": ["a", "b"], "encoding_format": "base64", "model": "theirs"}
    assert sent(request, dialect="openai", **embeds) == plain
    prompted: dict[str, Any] = {"type": "embeddings", "embedding": {"prompts": {"query": "q: "}}}
    assert sent(request, **prompted) == {"input": ["q: a", "q: b"], "model": "theirs"}


def test_allowed_tools_become_the_tools_and_the_choice_that_they_stand_for() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("look", "find")]
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "find"}}]}
    request = proxy_request(tools=tools, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    found = sent(request, parameters=DECLARED)
    assert (found["tools"], found["tool_choice"]) == (tools[1:], "required")


def test_a_json_object_with_a_schema_is_sent_as_every_endpoint_takes_it() -> None:
    schema: dict[str, Any] = {"properties": {"a": {}}}
    wrapped = {"name": "answer", "schema": {"type": "object", **schema}}
    for wanted, expected in (
        ({"type": "json_object", "schema": schema}, {"type": "json_schema", "json_schema": wrapped}),
        ({"type": "json_object", "schema": {}}, {"type": "json_object"}),
        ({"type": "json_object"}, {"type": "json_object"}),
    ):
        found = sent(proxy_request(response_format=wanted), parameters=DECLARED)
        assert found["response_format"] == expected


def test_what_asks_for_nothing_is_not_sent_in_a_form_that_endpoints_refuse() -> None:
    answer = {"role": "assistant", "content": "a", "tool_calls": []}
    body: dict[str, Any] = {"functions": [], "function_call": "none", "tools": [], "tool_choice": "auto"}
    found = sent(proxy_request(messages=[*MESSAGES, answer], **body), extras="any", parameters=DECLARED)
    kept = {"role": "assistant", "content": "a"}
    assert found == {"messages": [*MESSAGES, kept], "model": "theirs"}


def test_a_past_call_without_arguments_is_sent_with_none() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": None}}]
    found = sent(proxy_request(messages=[{"role": "assistant", "tool_calls": calls}]))
    assert found["messages"][0]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
