"""Requests to an endpoint: the URL of a route by the endpoint's API, the body and its headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import orjson

from inference.api.parameters import BY_NAME, ParameterPlace, default_of, of_route, rows_of
from inference.api.text_inputs import one_by_one
from inference.cards.card import Card
from inference.cards.remote import RemoteApi, RemoteCard
from inference.contracts import ProxyRequest, Route

AZURE_OPENAI_VERSION = "2024-10-21"
"""The last api-version of Azure OpenAI that is dated and generally available."""
THIS_VERSION = "2024-05-01-preview"
"""The api-version of requests that came under an OpenAI path, which have none."""


def endpoint_url(remote: RemoteCard, route: Route, version: str) -> str:
    """Return the URL of a route; `version` is the api-version that the request is served as, or `openai`."""
    path, default_version = PATHS[remote.dialect](remote, route, version)
    api_version = remote.api_version or default_version
    return f"{remote.url}{path}" + (f"?api-version={quote(api_version)}" if api_version else "")


def _this(_: RemoteCard, route: Route, version: str) -> tuple[str, str]:
    return f"/{route}", THIS_VERSION if version == "openai" else version


def _azure_openai(remote: RemoteCard, route: Route, _: str) -> tuple[str, str]:
    return f"/openai/deployments/{quote(remote.model, safe='')}/{route}", AZURE_OPENAI_VERSION


def _openai(_remote: RemoteCard, route: Route, _version: str) -> tuple[str, str]:
    return f"/{route}", ""


PATHS: Mapping[RemoteApi, Callable[[RemoteCard, Route, str], tuple[str, str]]] = {
    RemoteApi.AZURE_AI_INFERENCE: _this,
    RemoteApi.AZURE_OPENAI: _azure_openai,
    RemoteApi.OPENAI: _openai,
}
"""The path under the card's URL, and the api-version where the card has none, by the endpoint's API."""


LOCAL_KEYS = frozenset({"model", "stream", "stream_options", "encoding_format", "dimensions"})
"""Keys of the caller's body that this app handles itself; the endpoint gets its own or none."""
TOOL_KEYS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
OMITTED_WHEN_EMPTY = frozenset({"stop", "logit_bias", "modalities", "metadata", "prompt_cache_options"})
"""Parameters that some clients send empty, which OpenAI refuses."""
DEFAULT_PROMPT = "<|endoftext|>"
"""The default prompt in the reference of OpenAI's API."""
PASS_THROUGH = {"extra-parameters": "pass-through"}


def build_request(request: ProxyRequest, card: Card) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the body for the endpoint, and the headers that belong to it."""
    assert card.remote is not None
    body = {name: value for name, value in request.body.items() if _is_sent(name, value, request.route, card)}
    body |= _defaults(body, request, card)
    if request.route in (Route.CHAT, Route.COMPLETIONS):
        body |= _generation_fields(body, request, card)
    elif request.route != Route.RERANK:
        body |= _embedding_fields(request, card)
    body |= _allowed_tools(body)
    if not body.get("tools") or body.get("tool_choice") == "none":
        # Local models are not offered tools that they must not call either.
        body = {name: value for name, value in body.items() if name not in TOOL_KEYS}
    if card.remote.model and card.remote.dialect is not RemoteApi.AZURE_OPENAI:
        body["model"] = card.remote.model
    return body, {**request.headers, **_extra_parameters(body, request.route, card.remote)}


def _is_sent(name: str, value: Any, route: Route, card: Card) -> bool:
    row = rows_of(route).get(name)
    if name in LOCAL_KEYS or (name in OMITTED_WHEN_EMPTY and not value):
        return False
    if name == "safe_prompt" and not card.accepts_any_extra:
        return False  # Its sentence is added to the messages here.
    if row is None:
        return True  # Unknown extras get past the checks only if the card takes any.
    if row.place is ParameterPlace.ENVELOPE:
        return name != "input_type" or _sends_input_type(card)
    if row.place is ParameterPlace.LABEL:
        return card.accepts_any_extra
    return card.limits(name) is not None or (row.place is ParameterPlace.EXTRA and card.passes_through(name))


def _sends_input_type(card: Card) -> bool:
    """Return True if the endpoint applies its own prompts, not this app the card's."""
    assert card.remote is not None
    return card.remote.dialect is RemoteApi.AZURE_AI_INFERENCE and not card.embedding.prompts


def _defaults(body: Mapping[str, Any], request: ProxyRequest, card: Card) -> dict[str, Any]:
    """Return the defaults of absent parameters that `/info` promises, because the endpoint's may differ."""
    names = [
        row.name
        for row in of_route(request.route, ParameterPlace.STANDARD)
        if card.limits(row.name) is not None and row.name not in body and row.name not in LOCAL_KEYS
    ]
    defaults = {name: default_of(name, request.route, request.version) for name in names}
    return {
        name: value
        for name, value in defaults.items()
        if value is not None and not BY_NAME[name].is_neutral(value)
    }


def _generation_fields(body: Mapping[str, Any], request: ProxyRequest, card: Card) -> dict[str, Any]:
    assert card.remote is not None
    fields: dict[str, Any] = {}
    if request.stream:
        fields["stream"] = True
        if card.remote.requests_usage:
            fields["stream_options"] = {"include_usage": True}
    if (wanted := body.get("response_format")) is not None:
        fields["response_format"] = _response_format(wanted)
    if request.route == Route.CHAT:
        fields["messages"] = [*_safe_prompt(request, card), *map(_message, body["messages"])]
    elif "prompt" not in body:
        fields["prompt"] = DEFAULT_PROMPT
    return fields


def _response_format(wanted: str | dict[str, Any]) -> dict[str, Any]:
    """Return a format in the one form that every endpoint has; a schema has a wrapper with a name there."""
    if isinstance(wanted, str):
        return {"type": wanted}
    if wanted["type"] != "json_object":
        return wanted
    if not (schema := wanted.get("schema")):
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object", **schema}},
    }


def _allowed_tools(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tools and the choice that `allowed_tools` stands for, as few endpoints know it."""
    choice = body.get("tool_choice")
    if not isinstance(choice, dict) or choice["type"] != "allowed_tools":
        return {}
    allowed = choice["allowed_tools"]
    names = {tool["function"]["name"] for tool in allowed["tools"]}
    tools = [tool for tool in body["tools"] if tool["function"]["name"] in names]
    return {"tools": tools, "tool_choice": allowed["mode"]}


def _safe_prompt(request: ProxyRequest, card: Card) -> list[dict[str, Any]]:
    """Return the system message that `safe_prompt` stands for, if it is on."""
    safe = card.extras.get("safe_prompt")
    return [{"role": "system", "content": safe.text}] if safe and request.body.get("safe_prompt") else []


def _message(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message with the arguments of past calls as text, the only form in OpenAI's API."""
    calls = message.get("tool_calls")
    if not calls:
        return {key: value for key, value in message.items() if key != "tool_calls"}
    return {**message, "tool_calls": [_call(call) for call in calls]}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    if function.get("arguments") is None:
        return {**call, "function": {**function, "arguments": "{}"}}
    if not isinstance(function["arguments"], dict):
        return call
    return {**call, "function": {**function, "arguments": orjson.dumps(function["arguments"]).decode()}}


def _embedding_fields(request: ProxyRequest, card: Card) -> dict[str, Any]:
    """Return fields for whole float vectors: this app truncates and encodes them itself."""
    assert card.remote is not None
    fields: dict[str, Any] = {}
    if card.remote.dialect is not RemoteApi.AZURE_AI_INFERENCE:
        # Base64 is exact and a third of the bytes; servers without it may send numbers.
        fields["encoding_format"] = "base64"
    prompt = card.embedding.prompts.get(request.body.get("input_type") or "text", "")
    if request.route == Route.EMBEDDINGS and prompt:
        inputs = one_by_one(request.body["input"])
        fields["input"] = [prompt + one if isinstance(one, str) else one for one in inputs]
    return fields


def _extra_parameters(body: Mapping[str, Any], route: Route, remote: RemoteCard) -> dict[str, str]:
    """Return the header with which the Azure AI API accepts parameters that it does not name."""
    named = {row.name for row in of_route(route, ParameterPlace.ENVELOPE, ParameterPlace.STANDARD)}
    return PASS_THROUGH if remote.dialect is RemoteApi.AZURE_AI_INFERENCE and body.keys() - named else {}
