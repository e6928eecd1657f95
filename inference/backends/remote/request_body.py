"""Where a route of an endpoint is, by its dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import orjson

from inference.api.parameters import BY_NAME, ParameterPlace, default_of, of_route
from inference.api.text_inputs import one_by_one
from inference.cards.card import Card
from inference.cards.remote import RemoteApi, RemoteCard
from inference.contracts import ProxyRequest, Route

AZURE_OPENAI_VERSION = "2024-10-21"
"""Azure OpenAI's last api-version of a general release that is a date."""
THIS_VERSION = "2024-05-01-preview"
"""For requests that came under an OpenAI path and so have no api-version."""


def address(remote: RemoteCard, route: Route, version: str) -> str:
    """The URL of a route; `version` is the api-version that the request is served as, or `openai`."""
    path, given = ADDRESSES[remote.dialect](remote, route, version)
    asked = remote.api_version or given
    return f"{remote.url}{path}" + (f"?api-version={quote(asked)}" if asked else "")


def _this(_: RemoteCard, route: Route, version: str) -> tuple[str, str]:
    return f"/{route}", THIS_VERSION if version == "openai" else version


def _azure_openai(remote: RemoteCard, route: Route, _: str) -> tuple[str, str]:
    return f"/openai/deployments/{quote(remote.model, safe='')}/{route}", AZURE_OPENAI_VERSION


def _openai(_remote: RemoteCard, route: Route, _version: str) -> tuple[str, str]:
    return f"/{route}", ""


ADDRESSES: Mapping[RemoteApi, Callable[[RemoteCard, Route, str], tuple[str, str]]] = {
    RemoteApi.THIS: _this,
    RemoteApi.AZURE_OPENAI: _azure_openai,
    RemoteApi.OPENAI: _openai,
}
"""Path under the card's URL, and the api-version where the card has none."""


OURS = frozenset({"model", "stream", "stream_options", "encoding_format", "dimensions"})
"""Keys that this app answers for itself, whatever the endpoint is asked."""
WITH_TOOLS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
MAY_BE_EMPTY = frozenset({"stop", "logit_bias"})
"""Sent empty by clients that leave nothing out, which OpenAI refuses."""
START = "<|endoftext|>"
"""The default prompt of the API's reference."""
PASS_THROUGH = {"extra-parameters": "pass-through"}


def translate(request: ProxyRequest, card: Card) -> tuple[dict[str, Any], dict[str, str]]:
    """The endpoint's body, and the headers that belong to it."""
    assert card.remote is not None
    body = {name: value for name, value in request.body.items() if _goes(name, value, request.route, card)}
    body |= _defaults(body, request, card)
    if request.route in (Route.CHAT, Route.COMPLETIONS):
        body |= _generation(body, request, card)
    else:
        body |= _vectors(request, card)
    if not body.get("tools") or body.get("tool_choice") == "none":
        # Tools that must not be called are not offered here either.
        body = {name: value for name, value in body.items() if name not in WITH_TOOLS}
    if card.remote.model and card.remote.dialect is not RemoteApi.AZURE_OPENAI:
        body["model"] = card.remote.model
    return body, {**request.headers, **_extra(body, request.route, card.remote)}


def _goes(name: str, value: Any, route: Route, card: Card) -> bool:
    row = BY_NAME.get(name)
    if name in OURS or (name in MAY_BE_EMPTY and not value):
        return False
    if name == "safe_prompt" and not card.takes_any:
        return False  # its sentence is put before the conversation here
    if row is None or route not in row.routes:
        return True  # an extra that nobody knows: it came so far only where any are taken
    if row.place is ParameterPlace.ENVELOPE:
        return name != "input_type" or _types_elsewhere(card)
    if row.place is ParameterPlace.LABEL:
        return card.takes_any
    return card.limits(name) is not None or (row.place is ParameterPlace.EXTRA and card.takes_any)


def _types_elsewhere(card: Card) -> bool:
    """Whether the endpoint is told what an input is for: it has no prompt of our own before it."""
    assert card.remote is not None
    return card.remote.dialect is RemoteApi.THIS and not card.embedding.prompts


def _defaults(body: Mapping[str, Any], request: ProxyRequest, card: Card) -> dict[str, Any]:
    """What a declared parameter is when it is left out: `/info` says so, and an endpoint's own may differ."""
    names = [
        row.name
        for row in of_route(request.route, ParameterPlace.STANDARD)
        if card.limits(row.name) is not None
    ]
    given = {name: default_of(name, request.route, request.version) for name in names if name not in body}
    rows = {name: value for name, value in given.items() if name not in OURS}
    return {name: value for name, value in rows.items() if value not in (None, BY_NAME[name].neutral)}


def _generation(body: Mapping[str, Any], request: ProxyRequest, card: Card) -> dict[str, Any]:
    assert card.remote is not None
    changed: dict[str, Any] = {}
    if request.stream:
        changed["stream"] = True
        if card.remote.asks_usage:
            changed["stream_options"] = {"include_usage": True}
    if isinstance(body.get("response_format"), str):
        changed["response_format"] = {"type": body["response_format"]}
    if request.route == Route.CHAT:
        messages = [_message(message) for message in body["messages"]]
        safe = card.extras.get("safe_prompt")
        first = [{"role": "system", "content": safe.text}] if safe and request.body.get("safe_prompt") else []
        changed["messages"] = first + messages
    elif "prompt" not in body:
        changed["prompt"] = START
    return changed


def _message(message: dict[str, Any]) -> dict[str, Any]:
    """Arguments of past calls as text, which is all that OpenAI's API takes."""
    calls = message.get("tool_calls")
    if not calls:
        return message
    return {**message, "tool_calls": [_call(call) for call in calls]}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    if not isinstance(function.get("arguments"), dict):
        return call
    return {**call, "function": {**function, "arguments": orjson.dumps(function["arguments"]).decode()}}


def _vectors(request: ProxyRequest, card: Card) -> dict[str, Any]:
    """Vectors are asked for whole and as the numbers they are: sizes and encodings are made here."""
    assert card.remote is not None
    changed: dict[str, Any] = {}
    if card.remote.dialect is not RemoteApi.THIS:
        changed["encoding_format"] = "base64"  # exact, a third of the bytes; a server may give numbers anyway
    prompt = card.embedding.prompts.get(request.body.get("input_type") or "text", "")
    if request.route == Route.EMBEDDINGS and prompt:
        inputs = one_by_one(request.body["input"])
        changed["input"] = [prompt + one if isinstance(one, str) else one for one in inputs]
    return changed


def _extra(body: Mapping[str, Any], route: Route, remote: RemoteCard) -> dict[str, str]:
    """This API wants to be told what to do with parameters that it does not name."""
    named = {row.name for row in of_route(route, ParameterPlace.ENVELOPE, ParameterPlace.STANDARD)}
    return PASS_THROUGH if remote.dialect is RemoteApi.THIS and body.keys() - named else {}
