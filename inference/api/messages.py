"""The messages of a conversation and their parts, as clients send them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, Tag

from inference.api.text_inputs import strings_in
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
    """Yield the texts of a message, for the content filter: no ids, no names, no keys."""
    text = text_of(message.content)
    match message:
        case UserMessage():
            yield FilteredText(text, TextOrigin.USER)
        case ToolMessage():
            yield FilteredText(text, TextOrigin.TOOL)
        case SystemMessage():
            yield FilteredText(text)
        case AssistantMessage():
            yield FilteredText(text)
            yield FilteredText(message.reasoning_content or "")
            for call in message.tool_calls or ():
                yield FilteredText("\n".join(strings_in(call.function.arguments)))
