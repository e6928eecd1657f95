"""`POST /chat/completions`: the request's shape."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from inference.api.completions import GenerationBody
from inference.api.validation import WireModel, limited

FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


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
    Discriminator(lambda value: "<parts>" if isinstance(value, list) else "<text>"),
]
"""A text, or its parts."""


class FunctionCall(WireModel):
    name: str
    arguments: Annotated[
        Annotated[str, Tag("<text>")] | Annotated[dict[str, Any], Tag("<object>")],
        Discriminator(lambda value: "<object>" if isinstance(value, dict) else "<text>"),
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


class Function(WireModel):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None


class FunctionTool(WireModel):
    type: Literal["function"]
    function: Function


class NamedFunction(WireModel):
    name: FunctionName


class NamedToolChoice(WireModel):
    type: Literal["function"]
    function: NamedFunction


ToolChoice = Annotated[
    Annotated[Literal["auto", "none", "required"], Tag("<word>")]
    | Annotated[NamedToolChoice, Tag("<named>")],
    Discriminator(lambda value: "<named>" if isinstance(value, dict) else "<word>"),
]


class TextFormat(WireModel):
    type: Literal["text"]


class JsonObjectFormat(WireModel):
    type: Literal["json_object"]


class JsonSchema(WireModel):
    name: FunctionName
    schema_: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class JsonSchemaFormat(WireModel):
    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[
    Annotated[Literal["text", "json_object"], Tag("<word>")]
    | Annotated[
        Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")],
        Tag("<object>"),
    ],
    Discriminator(lambda value: "<object>" if isinstance(value, dict) else "<word>"),
]


class ChatRequest(GenerationBody):
    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: Annotated[int | None, limited("max_completion_tokens")] = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[FunctionTool] | None, Field(min_length=1)] = None
    tool_choice: ToolChoice | None = None
    modalities: Annotated[list[Literal["text", "audio"]] | None, Field(min_length=1)] = None
    safe_prompt: bool | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, limited("top_logprobs")] = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    audio: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: str | dict[str, Any] | None = None
    store: bool | None = None
    service_tier: Literal["auto", "default", "flex", "priority", "scale"] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, str] | None = None

    @property
    def offered(self) -> tuple[FunctionTool, ...]:
        """The tools the model may call: none under `tool_choice: none`."""
        return () if self.tool_choice == "none" else tuple(self.tools or ())

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Prompt flow sends every parameter, unset ones empty."""
        return {key: value for key, value in data.items() if not (key in _EMPTY and value == _EMPTY[key])}


_EMPTY: dict[str, Any] = {"stop": [], "logit_bias": {}}


def text_of(content: str | list[Part] | None) -> str:
    """The text of a message's content; its text parts are joined with a newline."""
    if isinstance(content, str):
        return content
    return "\n".join(part.text for part in content or () if isinstance(part, TextPart))
