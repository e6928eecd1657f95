"""The messages of a conversation and their parts, as clients send them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, Tag

from inference.api.text_inputs import json_texts, name_texts, undeclared_texts
from inference.api.validation import WireModel, either
from inference.contracts import FilteredText, TextOrigin


class TextPart(WireModel):
    type: Literal["text"]
    text: str


class ImageUrl(WireModel):
    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(WireModel):
    type: Literal["image_url"]
    image_url: ImageUrl


class InputAudio(WireModel):
    data: str
    format: Literal["wav", "mp3"]


class InputAudioPart(WireModel):
    type: Literal["input_audio"]
    input_audio: InputAudio


class AudioUrl(WireModel):
    url: str


class AudioUrlPart(WireModel):
    type: Literal["audio_url"]
    audio_url: AudioUrl


Part = Annotated[TextPart | ImagePart | InputAudioPart | AudioUrlPart, Field(discriminator="type")]
Content = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[list[Part], Tag("<parts>")],
    either(list, "<parts>", "<text>"),
]
"""A text, or its parts."""


class FunctionCall(WireModel):
    name: str
    arguments: Annotated[
        Annotated[str, Tag("<json>")] | Annotated[dict[str, Any], Tag("<object>")],
        either(dict, "<object>", "<json>"),
    ] = ""


class ToolCall(WireModel):
    id: str | None = None
    type: Literal["function"] = "function"
    function: FunctionCall


class SystemMessage(WireModel):
    role: Literal["system", "developer"]
    content: Content


class UserMessage(WireModel):
    role: Literal["user"]
    content: Content


class AssistantMessage(WireModel):
    role: Literal["assistant"]
    content: Content | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning_content: str | None = None


class ToolMessage(WireModel):
    role: Literal["tool"]
    content: Content | None = None
    tool_call_id: str | None = None
    name: str | None = None


Message = Annotated[SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


def text_of(content: str | list[Part] | None) -> str:
    """Return the text of a message's content, its text parts joined with a newline."""
    if isinstance(content, str):
        return content
    return "\n".join(part.text for part in content or () if isinstance(part, TextPart))


def message_texts(message: Message) -> Iterator[FilteredText]:
    """Yield the texts of a message, for the content filter.

    Keys that the API does not name count, because an endpoint may be sent them. An id in one word is no text.
    """
    origin = ORIGINS.get(message.role, TextOrigin.OTHER)
    yield FilteredText(text_of(message.content), origin)
    if isinstance(message, AssistantMessage):
        yield FilteredText(message.reasoning_content or "")
        for call in message.tool_calls or ():
            yield FilteredText("\n".join(_call_texts(call)))
    yield FilteredText("\n".join(_further_texts(message)), origin)


ORIGINS = {"user": TextOrigin.USER, "tool": TextOrigin.TOOL}
"""The authors of messages by their role."""


ID = re.compile(r"[\w.:+/=-]{0,128}", re.ASCII)
"""An id of a call in one word."""


def _call_texts(call: ToolCall) -> Iterator[str]:
    yield from name_texts(call.function.name)
    yield from json_texts(call.function.arguments)
    yield from _id_texts(call.id)


def _further_texts(message: Message) -> Iterator[str]:
    if isinstance(message, ToolMessage):
        yield from name_texts(message.name or "")
        yield from _id_texts(message.tool_call_id)
    yield from undeclared_texts(message)


def _id_texts(call_id: str | None) -> Iterator[str]:
    if call_id is not None and not ID.fullmatch(call_id):
        yield call_id
