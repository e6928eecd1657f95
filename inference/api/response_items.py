"""The items of a conversation as `/responses` has them: messages, calls and their outputs, reasoning."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from inference.api.messages import CachedPart, InputAudio
from inference.api.validation import WireModel, either

Detail = Literal["auto", "low", "high", "original"]


class InputText(CachedPart):
    type: Literal["input_text"]
    text: str


class InputImage(CachedPart):
    type: Literal["input_image"]
    image_url: str | None = None
    file_id: str | None = None
    detail: Detail | None = None


class InputFile(CachedPart):
    """A document, which no deployment reads: it is refused at its place."""

    type: Literal["input_file"]
    filename: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    file_data: str | None = None
    detail: str | None = None


class InputAudioClip(CachedPart):
    type: Literal["input_audio"]
    input_audio: InputAudio


class InputVideo(CachedPart):
    """A video, which no deployment sees: it is refused at its place."""

    type: Literal["input_video"]
    video_url: str | None = None


class OutputText(WireModel):
    """A text of an earlier answer; what stands beside the text was for its readers."""

    type: Literal["output_text"]
    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None
    parsed: Any = None


class OutputRefusal(WireModel):
    type: Literal["refusal"]
    refusal: str


InputPart = Annotated[
    InputText | InputImage | InputFile | InputAudioClip | InputVideo, Field(discriminator="type")
]
OutputPart = Annotated[OutputText | OutputRefusal, Field(discriminator="type")]
InputContent = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[list[InputPart], Field(fail_fast=True), Tag("<parts>")],
    either(list, "<parts>", "<text>"),
]
OutputContent = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[list[OutputPart], Field(fail_fast=True), Tag("<parts>")],
    either(list, "<parts>", "<text>"),
]


class ItemModel(WireModel):
    """The keys that every item may have."""

    id: str | None = None
    status: str | None = None


class InputMessage(ItemModel):
    type: Literal["message"] | None = None
    role: Literal["user", "assistant", "system", "developer"]
    content: InputContent
    phase: str | None = None


class OutputMessage(ItemModel):
    """A message of the assistant: an earlier answer."""

    type: Literal["message"] | None = None
    role: Literal["assistant"]
    content: OutputContent
    phase: str | None = None


class FunctionCallItem(ItemModel):
    type: Literal["function_call"]
    call_id: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    arguments: str
    namespace: str | None = None
    caller: Any = None
    async_: bool | None = Field(None, alias="async")
    parsed_arguments: Any = None


class FunctionCallOutput(ItemModel):
    type: Literal["function_call_output"]
    call_id: Annotated[str, Field(min_length=1)]
    output: InputContent
    name: str | None = None
    namespace: str | None = None
    caller: Any = None


class SummaryText(WireModel):
    type: Literal["summary_text"]
    text: str


class ReasoningText(WireModel):
    type: Literal["reasoning_text"]
    text: str


class ReasoningItem(ItemModel):
    type: Literal["reasoning"]
    summary: list[SummaryText] | None = None
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None


class ItemReference(WireModel):
    """An item that was kept, by its id."""

    type: Literal["item_reference"] | None = None
    id: str


class UnknownItem(WireModel):
    """Validation names the types that there are."""

    type: Literal["message", "function_call", "function_call_output", "reasoning", "item_reference"]


def _kind(value: Any) -> str:
    """Return the tag of an item: by its type, else by its keys, since clients leave the type out."""
    if not isinstance(value, dict):
        return "<message>"
    kind = value.get("type")
    if kind is None and "id" in value and not {"role", "content"} & value.keys():
        return "<reference>"
    if kind in (None, "message"):
        return "<answer>" if value.get("role") == "assistant" else "<message>"
    return TAGS.get(kind, "<unknown>") if isinstance(kind, str) else "<unknown>"


TAGS = {
    "function_call": "<call>",
    "function_call_output": "<output>",
    "reasoning": "<reasoning>",
    "item_reference": "<reference>",
}
InputItem = Annotated[
    Annotated[InputMessage, Tag("<message>")]
    | Annotated[OutputMessage, Tag("<answer>")]
    | Annotated[FunctionCallItem, Tag("<call>")]
    | Annotated[FunctionCallOutput, Tag("<output>")]
    | Annotated[ReasoningItem, Tag("<reasoning>")]
    | Annotated[ItemReference, Tag("<reference>")]
    | Annotated[UnknownItem, Tag("<unknown>")],
    Discriminator(_kind),
]
