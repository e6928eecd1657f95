"""The messages of a conversation and their parts, as clients send them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, Tag

from inference.api.text_inputs import json_texts, name_texts, undeclared_texts
from inference.api.validation import WireModel, either
from inference.contracts import FilteredText, TextOrigin


class CachedPart(WireModel):
    """A part after which a client may want a cached prefix to end: a label, prefixes are cached anyway."""

    prompt_cache_breakpoint: dict[str, Any] | None = None


class TextPart(CachedPart):
    type: Literal["text"]
    text: str


class RefusalPart(WireModel):
    """The model's own words, by which it refused in an earlier answer."""

    type: Literal["refusal"]
    refusal: str


class ImageUrl(WireModel):
    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(CachedPart):
    type: Literal["image_url"]
    image_url: ImageUrl


class InputAudio(WireModel):
    data: str
    format: Literal["wav", "mp3"]


class InputAudioPart(CachedPart):
    type: Literal["input_audio"]
    input_audio: InputAudio


class AudioUrl(WireModel):
    url: str


class AudioUrlPart(WireModel):
    type: Literal["audio_url"]
    audio_url: AudioUrl


class FilePart(CachedPart):
    """A document, which no deployment reads: the capability check refuses it."""

    type: Literal["file"]
    file: dict[str, Any]


Part = Annotated[TextPart | ImagePart | InputAudioPart | AudioUrlPart | FilePart, Field(discriminator="type")]
Content = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[list[Part], Field(fail_fast=True), Tag("<parts>")],
    either(list, "<parts>", "<text>"),
]
"""A text, or its parts."""
AnswerPart = Annotated[
    TextPart | RefusalPart | ImagePart | InputAudioPart | AudioUrlPart | FilePart,
    Field(discriminator="type"),
]
AnswerContent = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[list[AnswerPart], Field(fail_fast=True), Tag("<parts>")],
    either(list, "<parts>", "<text>"),
]
"""The text of an earlier answer, or its parts."""


class FunctionCall(WireModel):
    name: str
    arguments: (
        Annotated[
            Annotated[str, Tag("<json>")] | Annotated[dict[str, Any], Tag("<object>")],
            either(dict, "<object>", "<json>"),
        ]
        | None
    ) = None
    parsed_arguments: Any = None
    """The arguments as OpenAI's client parsed them; it sends them back too. No model is shown them."""


class ToolCall(WireModel):
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionCall
    index: int | None = None
    """The number of a call in a stream, which clients that gather deltas send back; it changes nothing."""


class NamedMessage(WireModel):
    """A message whose author may have a name, which chat templates may show."""

    name: str | None = None


class SystemMessage(NamedMessage):
    role: Literal["system", "developer"]
    content: Content


class UserMessage(NamedMessage):
    role: Literal["user"]
    content: Content


class AssistantMessage(NamedMessage):
    role: Literal["assistant"]
    content: AnswerContent | None = None
    refusal: str | None = None
    tool_calls: Annotated[list[ToolCall] | None, Field(fail_fast=True)] = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    """The later name of `reasoning_content`."""
    parsed: Any = None
    """The content as OpenAI's client parsed it, in the same way."""
    annotations: list[Any] | None = None
    """Citations in an earlier answer, for its readers: no model is shown them."""

    @property
    def reasoned(self) -> str:
        """The reasoning before the answer, under either name; empty for an answer without."""
        return self.reasoning_content or self.reasoning or ""


class ToolMessage(NamedMessage):
    role: Literal["tool"]
    content: Content | None = None
    tool_call_id: str | None = None


Message = Annotated[SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


def text_of(content: str | Sequence[Part | RefusalPart] | None) -> str:
    """Return the text of a message's content, its parts of text and of refusal joined with a newline."""
    if isinstance(content, str):
        return content
    return "\n".join(text for part in content or () if (text := _part_text(part)) is not None)


def message_text(message: Message) -> str:
    """Return the text of a message: its content, and the refusal that an earlier answer was."""
    text = text_of(message.content)
    refusal = message.refusal if isinstance(message, AssistantMessage) else None
    return "\n".join(filter(None, (text, refusal))) if refusal else text


def _part_text(part: Part | RefusalPart) -> str | None:
    match part:
        case TextPart():
            return part.text
        case RefusalPart():
            return part.refusal
    return None


def message_texts(message: Message) -> Iterator[FilteredText]:
    """Yield the texts of a message, for the content filter.

    Keys that the API does not name count, because an endpoint may be sent them. An id in one word is no text.
    """
    origin = ORIGINS.get(message.role, TextOrigin.OTHER)
    yield FilteredText(message_text(message), origin)
    if isinstance(message, AssistantMessage):
        yield FilteredText(message.reasoned)
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
    yield from json_texts(call.function.parsed_arguments)
    yield from _id_texts(call.id)


def _further_texts(message: Message) -> Iterator[str]:
    if message.name:
        yield from name_texts(message.name)
    if isinstance(message, ToolMessage):
        yield from _id_texts(message.tool_call_id)
    if isinstance(message, AssistantMessage):
        yield from json_texts([message.parsed, message.annotations])
    yield from undeclared_texts(message)


def _id_texts(call_id: str | None) -> Iterator[str]:
    if call_id is not None and not ID.fullmatch(call_id):
        yield call_id
