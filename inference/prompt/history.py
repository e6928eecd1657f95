"""The conversation's messages as chat templates expect them.

Contents are text, arguments of earlier calls are objects, and calls and results refer to each other: a result
has the id of the call it answers and the name of its tool, also where the client left them out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import from_json

from inference.api.messages import AssistantMessage, Message, ToolCall, ToolMessage, text_of
from inference.prompt.chat_template import ChatTemplate
from inference.tool_formats import ParsedCall, ToolFormat


def template_messages(
    messages: Sequence[Message], tool_format: ToolFormat | None, template: ChatTemplate
) -> list[dict[str, Any]]:
    """Return the messages for a template; one that renders no tool calls gets them as text of the format."""
    converter = _MessageConverter(tool_format)
    converted = [converter.convert(message) for message in messages]
    if tool_format is None or template.supports_tool_calls:
        return converted
    return [_with_calls_as_text(message, tool_format) for message in converted]


class _MessageConverter:
    """A converter of a conversation's messages, in sequence; it keeps the calls that wait for a result."""

    def __init__(self, tool_format: ToolFormat | None) -> None:
        self._template_id = tool_format.template_id if tool_format else str
        self._waiting: dict[str, str] = {}
        """The tools' names by the ids of their calls, in the sequence of the calls."""
        self._calls = 0

    def convert(self, message: Message) -> dict[str, Any]:
        converted: dict[str, Any] = {"role": message.role, "content": text_of(message.content)}
        if message.role == "developer":
            converted["role"] = "system"
        match message:
            case AssistantMessage():
                return {**converted, **dict(self._answer(message))}
            case ToolMessage():
                return {**converted, **self._result(message)}
        return converted

    def _answer(self, message: AssistantMessage) -> Iterator[tuple[str, Any]]:
        if message.reasoning_content:
            yield "reasoning_content", message.reasoning_content
        if message.tool_calls:
            yield "tool_calls", [self._call(call) for call in message.tool_calls]

    def _call(self, call: ToolCall) -> dict[str, Any]:
        self._calls += 1
        call_id = self._template_id(call.id or f"call_{self._calls}")
        self._waiting[call_id] = call.function.name
        function = {"name": call.function.name, "arguments": _arguments(call.function.arguments)}
        return {"id": call_id, "type": "function", "function": function}

    def _result(self, message: ToolMessage) -> dict[str, str]:
        """Return the call's id and the tool's name; a result without an id answers the first waiting call."""
        if message.tool_call_id:
            call_id: str | None = self._template_id(message.tool_call_id)
        else:
            call_id = next(iter(self._waiting), None)
        name = message.name or self._waiting.get(call_id or "")
        self._waiting.pop(call_id or "", None)
        return {key: value for key, value in (("tool_call_id", call_id), ("name", name)) if value}


def _arguments(arguments: str | dict[str, Any]) -> str | dict[str, Any]:
    """Return the arguments as an object; text that is no object, which models do write, stays text."""
    if isinstance(arguments, dict):
        return arguments
    try:
        parsed = from_json(arguments or "{}")
    except ValueError:
        return arguments
    return parsed if isinstance(parsed, dict) else arguments


def _with_calls_as_text(message: dict[str, Any], tool_format: ToolFormat) -> dict[str, Any]:
    if "tool_calls" not in message:
        return message
    functions = [call["function"] for call in message["tool_calls"]]
    calls = tool_format.write([ParsedCall(function["name"], function["arguments"]) for function in functions])
    others = {key: value for key, value in message.items() if key != "tool_calls"}
    return {**others, "content": "\n".join(filter(None, [message["content"], calls]))}
