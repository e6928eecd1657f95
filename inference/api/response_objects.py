"""The response object of `/responses`: the keys that repeat the request, the usage, the errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference.api.answers import chat_logprobs
from inference.api.error_body import code_of
from inference.api.parameters import default_of
from inference.api.responses import ResponsesRequest
from inference.contracts import ApiStyle, Route, ScoredToken, Usage
from inference.errors import ApiError


def response_base(
    request: ResponsesRequest,
    body: Mapping[str, Any],
    *,
    response_id: str,
    model: str,
    created: int,
    store: bool,
) -> dict[str, Any]:
    """Return a response that has begun: what was in force of the request, defaults filled in.

    `body` has the values as the caller wrote them.
    """
    text, reasoning = request.text, request.reasoning
    format_ = dict((body.get("text") or {}).get("format") or {})
    verbosity = {"verbosity": text.verbosity} if text and text.verbosity else {}
    # Whatever its length was to be: the reasoning itself is returned.
    summary = "auto" if reasoning and (reasoning.summary or reasoning.generate_summary) else None
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "completed_at": None,
        "status": "in_progress",
        "incomplete_details": None,
        "error": None,
        "model": model,
        "previous_response_id": request.previous_response_id,
        "instructions": request.instructions,
        "output": [],
        "tools": [_tool(tool) for tool in body.get("tools") or ()],
        "tool_choice": _tool_choice(body.get("tool_choice")),
        "truncation": request.truncation or "disabled",
        "parallel_tool_calls": request.parallel_tool_calls is not False and request.max_tool_calls != 1,
        "text": {"format": _format(format_), **verbosity},
        "temperature": _number(request.temperature, "temperature"),
        "top_p": _number(request.top_p, "top_p"),
        "presence_penalty": _number(request.presence_penalty, "presence_penalty"),
        "frequency_penalty": _number(request.frequency_penalty, "frequency_penalty"),
        "top_logprobs": request.top_logprobs or 0,
        "reasoning": {"effort": reasoning.effort if reasoning else None, "summary": summary},
        "usage": None,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "store": store,
        "background": False,
        "service_tier": "default",
        "metadata": dict(request.metadata or {}),
        "safety_identifier": request.safety_identifier,
        "prompt_cache_key": request.prompt_cache_key,
        "user": request.user,
    }


def _number(value: float | None, name: str) -> float:
    return float(default_of(name, Route.RESPONSES, ApiStyle.OPENAI)) if value is None else value


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        **{key: tool.get(key) for key in ("name", "description", "parameters", "strict")},
    }


def _tool_choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice or "auto"
    mode = {"mode": choice.get("mode") or "auto"} if choice["type"] == "allowed_tools" else {}
    return {**choice, **mode}


def _format(wanted: Mapping[str, Any]) -> dict[str, Any]:
    if wanted.get("type") != "json_schema":
        return {"type": wanted.get("type", "text")}
    shown = {"type": "json_schema", "name": wanted["name"], "description": wanted.get("description")}
    return {**shown, "schema": wanted["schema"], "strict": bool(wanted.get("strict"))}


def response_usage(usage: Usage) -> dict[str, Any]:
    """Return `usage` as this route has it."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.total_tokens,
    }


def response_logprobs(scores: tuple[ScoredToken, ...]) -> list[Any]:
    """Return the log probabilities of a text's tokens."""
    return list(chat_logprobs(scores)["content"]) if scores else []


def error_payload(error: ApiError) -> dict[str, Any]:
    """Return an error that ends a stream: `code`, `message`, `param`."""
    return {"code": code_of(error, ApiStyle.OPENAI), "message": error.message, "param": error.param}
