"""A conversation as chat templates expect it.

Contents are text, arguments of past calls are objects, and calls and their results know each other: a result
has the id of the call it answers and the name of its tool, also where the client left them out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import from_json

from inference.api.chat import AssistantMessage, Message, ToolCall, ToolMessage, text_of
from inference.prompt.chat_template import ChatTemplate
from inference.tool_formats import ParsedCall, ToolFormat


def plain(
    messages: Sequence[Message], dialect: ToolFormat | None, template: ChatTemplate
) -> list[dict[str, Any]]:
    """The messages for a template; where it has no words for calls, they are written in the dialect."""
    history = _History(dialect)
    shown = [history.plain(message) for message in messages]
    if dialect is None or template.tells_calls:
        return shown
    return [_spelled(message, dialect) for message in shown]


class _History:
    """Goes through a conversation and remembers the calls that wait for a result."""

    def __init__(self, dialect: ToolFormat | None) -> None:
        self._own_id = dialect.template_id if dialect else str
        self._waiting: dict[str, str] = {}
        """Names of the tools by the ids of their calls, in the order of the calls."""
        self._calls = 0

    def plain(self, message: Message) -> dict[str, Any]:
        text: dict[str, Any] = {"role": message.role, "content": text_of(message.content)}
        if message.role == "developer":
            text["role"] = "system"
        match message:
            case AssistantMessage():
                return {**text, **dict(self._said(message))}
            case ToolMessage():
                return {**text, **self._answered(message)}
        return text

    def _said(self, message: AssistantMessage) -> Iterator[tuple[str, Any]]:
        if message.reasoning_content:
            yield "reasoning_content", message.reasoning_content
        if message.tool_calls:
            yield "tool_calls", [self._call(call) for call in message.tool_calls]

    def _call(self, call: ToolCall) -> dict[str, Any]:
        self._calls += 1
        known = self._own_id(call.id or f"call_{self._calls}")
        self._waiting[known] = call.function.name
        function = {"name": call.function.name, "arguments": _arguments(call.function.arguments)}
        return {"id": known, "type": "function", "function": function}

    def _answered(self, message: ToolMessage) -> dict[str, str]:
        """Results without an id answer the calls in their order."""
        known = (
            self._own_id(message.tool_call_id) if message.tool_call_id else next(iter(self._waiting), None)
        )
        name = message.name or self._waiting.get(known or "")
        self._waiting.pop(known or "", None)
        return {key: value for key, value in (("tool_call_id", known), ("name", name)) if value}


def _arguments(arguments: str | dict[str, Any]) -> str | dict[str, Any]:
    """Templates write objects as JSON; text that is no object, which models do produce, stays text."""
    if isinstance(arguments, dict):
        return arguments
    try:
        parsed = from_json(arguments or "{}")
    except ValueError:
        return arguments
    return parsed if isinstance(parsed, dict) else arguments


def _spelled(message: dict[str, Any], dialect: ToolFormat) -> dict[str, Any]:
    """The message with its calls in the text."""
    if "tool_calls" not in message:
        return message
    functions = [call["function"] for call in message["tool_calls"]]
    calls = dialect.write([ParsedCall(function["name"], function["arguments"]) for function in functions])
    rest = {key: value for key, value in message.items() if key != "tool_calls"}
    return {**rest, "content": "\n".join(filter(None, [message["content"], calls]))}
