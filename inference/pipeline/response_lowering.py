"""A request for a response becomes the request for a chat that it stands for: one engine, one policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from inference.api.chat import ChatRequest
from inference.api.parameters import of_route
from inference.api.parameters.responses import WORDS_HERE
from inference.api.response_tools import LOGPROBS
from inference.api.responses import ResponsesRequest
from inference.api.validation import validate
from inference.contracts import Route
from inference.errors import InvalidInput, Location
from inference.pipeline.admission import ResolvedRequest
from inference.pipeline.capabilities import check, ignored
from inference.pipeline.response_messages import Item, Messages, Unseal
from inference.pipeline.response_places import relocated, renamed

OWN = frozenset(
    {"tools", "tool_choice", "top_logprobs", "store", "service_tier", "stream_options", "moderation"}
)
"""Keys that both routes have, with values of another form or of no effect here."""


@dataclass(frozen=True, slots=True)
class LoweredResponse:
    """The chat that a response is, with what it takes to answer in the words of the response."""

    chat: ChatRequest
    resolved: ResolvedRequest
    places: Mapping[Location, Location] = field(default_factory=dict)
    fixed: frozenset[int] = frozenset()
    """The numbers of the messages that no truncation drops."""


def lower_response(
    request: ResponsesRequest,
    resolved: ResolvedRequest,
    context: Sequence[Item],
    items: Sequence[tuple[Item, Location]],
    unseal: Unseal,
) -> LoweredResponse:
    """Return the chat of a response; `items` are its input, each with its place.

    Raises `InvalidInput` or `ParameterNotSupported` at the places of the response.
    """
    messages = Messages(unseal)
    if request.instructions:
        messages.instruct(request.instructions)
    for item in context:
        messages.add(item, ("previous_response_id",))
    for item, place in items:
        messages.add(item, place)
    if messages.orphans:
        raise InvalidInput(messages.orphans)
    places = {**messages.places, **_option_places(request)}
    resolved = replace(resolved, dropped=(*resolved.dropped, *_unmade_summaries(request)))
    with relocated(places):
        return _resolved(_chat_body(request, resolved, messages), resolved, messages, places)


def _resolved(
    body: dict[str, Any],
    resolved: ResolvedRequest,
    messages: Messages,
    places: Mapping[Location, Location],
) -> LoweredResponse:
    chat = validate(ChatRequest, body)
    check(chat, body, resolved.card)
    dropped = (*resolved.dropped, *map(renamed, ignored(body, resolved.card)))
    chat_resolved = replace(resolved, route=Route.CHAT, body=body, dropped=dropped)
    fixed = frozenset({*messages.system, len(messages.list) - 1})
    return LoweredResponse(chat, chat_resolved, places, fixed)


def _chat_body(request: ResponsesRequest, resolved: ResolvedRequest, messages: Messages) -> dict[str, Any]:
    """Return the body of the chat: what both routes have as it came, the rest in chat's form."""
    rows = {row.name for row in of_route(Route.RESPONSES)}
    shared = {row.name for row in of_route(Route.CHAT)} - OWN
    kept = {
        name: value
        for name, value in resolved.body.items()
        if name in shared or not (name in rows or name in WORDS_HERE)
    }
    # Cards of models that reason may declare the later name alone.
    later = resolved.card.limits("max_tokens") is None and resolved.card.limits("max_completion_tokens")
    own = {
        "max_completion_tokens" if later else "max_tokens": request.max_output_tokens,
        "tools": [_tool(tool) for tool in resolved.body.get("tools") or ()] or None,
        "tool_choice": _tool_choice(resolved.body.get("tool_choice"), offered=bool(request.tools)),
        "response_format": _format((resolved.body.get("text") or {}).get("format")),
        "verbosity": request.text.verbosity if request.text else None,
        "reasoning_effort": request.reasoning.effort if request.reasoning else None,
        "parallel_tool_calls": False if request.max_tool_calls == 1 else request.parallel_tool_calls,
        "logprobs": True if request.scored else None,
        "top_logprobs": request.top_logprobs if request.scored else None,
    }
    body = {**kept, **own, "messages": messages.list}
    return {name: value for name, value in body.items() if value is not None}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("name", "description", "parameters", "strict")
    function = {key: tool[key] for key in keys if tool.get(key) is not None}
    return {"type": "function", "function": function}


def _tool_choice(choice: Any, *, offered: bool) -> Any:
    """Return a choice in chat's form; without tools, `auto` and `none` ask for nothing."""
    if not isinstance(choice, dict):
        return choice if offered else None
    if choice["type"] == "function":
        return {"type": "function", "function": {"name": choice["name"]}}
    mode = choice.get("mode") or "auto"
    tools = [{"type": "function", "function": {"name": tool["name"]}} for tool in choice["tools"]]
    return (
        "none"
        if mode == "none"
        else {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}
    )


def _format(wanted: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if wanted is None or wanted["type"] != "json_schema":
        return dict(wanted) if wanted else None
    schema = {key: value for key, value in wanted.items() if key != "type" and value is not None}
    return {"type": "json_schema", "json_schema": schema}


def _unmade_summaries(request: ResponsesRequest) -> tuple[str, ...]:
    """Return what asks for a summary of some length: a client sends it by itself with any effort."""
    words = ("concise", "detailed")
    keys = ("summary", "generate_summary")
    return tuple(f"reasoning.{key}" for key in keys if getattr(request.reasoning, key, None) in words)


def _option_places(request: ResponsesRequest) -> dict[Location, Location]:
    """Return the places of what either of two keys asks for."""
    if request.top_logprobs or LOGPROBS not in (request.include or ()):
        return {}
    return {("logprobs",): ("include", [*map(str, request.include or ())].index(LOGPROBS))}
