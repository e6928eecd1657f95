"""Tools, the choice among them, and the form of an answer, as `/responses` has them: flat."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag

from inference.api.tools import FunctionName, TextFormat
from inference.api.validation import WireModel, either

HostedType = Literal[
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
    "file_search",
    "code_interpreter",
    "computer",
    "computer_use",
    "computer_use_preview",
    "mcp",
    "image_generation",
    "local_shell",
    "shell",
    "apply_patch",
    "custom",
    "tool_search",
    "namespace",
    "programmatic_tool_calling",
]
HOSTED = get_args(HostedType)
"""The types of tools other than functions."""


class ResponseFunction(WireModel):
    """A function that the caller runs."""

    type: Literal["function"]
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    output_schema: dict[str, Any] | None = None
    """The shape of what the function returns: a note for readers, no model is shown it."""
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None
    async_: bool | None = Field(None, alias="async")


class HostedTool(WireModel):
    """A tool of another type: it is refused at its place."""

    type: HostedType


class UnknownTool(WireModel):
    """Validation names the type that there is."""

    type: Literal["function"]


def _tool_kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else "function"
    if kind == "function":
        return "<function>"
    return "<hosted>" if kind in HOSTED else "<unknown>"


ResponseTool = Annotated[
    Annotated[ResponseFunction, Tag("<function>")]
    | Annotated[HostedTool, Tag("<hosted>")]
    | Annotated[UnknownTool, Tag("<unknown>")],
    Discriminator(_tool_kind),
]


class ChosenFunction(WireModel):
    type: Literal["function"]
    name: FunctionName


class ChosenTools(WireModel):
    """A choice among some of the tools."""

    type: Literal["allowed_tools"]
    mode: Literal["none", "auto", "required"] | None = None
    tools: Annotated[list[ChosenFunction], Field(min_length=1)]


class HostedChoice(WireModel):
    """The choice of a tool of another type: it is refused at its place."""

    type: HostedType


class UnknownChoice(WireModel):
    """Validation names the types that there are."""

    type: Literal["function", "allowed_tools"]


def _choice_kind(value: Any) -> str:
    if not isinstance(value, dict):
        return "<word>"
    kind = value.get("type")
    if kind in HOSTED:
        return "<hosted>"
    return {"function": "<function>", "allowed_tools": "<tools>"}.get(str(kind), "<unknown>")


ResponseToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("<word>")]
    | Annotated[ChosenFunction, Tag("<function>")]
    | Annotated[ChosenTools, Tag("<tools>")]
    | Annotated[HostedChoice, Tag("<hosted>")]
    | Annotated[UnknownChoice, Tag("<unknown>")],
    Discriminator(_choice_kind),
]


class AnyObject(WireModel):
    type: Literal["json_object"]


class SchemaFormat(WireModel):
    type: Literal["json_schema"]
    name: FunctionName
    schema_: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class ResponseText(WireModel):
    """The form of the answer's text."""

    format: Annotated[TextFormat | AnyObject | SchemaFormat, Field(discriminator="type")] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ResponseReasoning(WireModel):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    mode: str | None = None


class ResponseStreamOptions(WireModel):
    include_obfuscation: bool | None = None


Includable = Literal[
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
]
LOGPROBS, SEALED = "message.output_text.logprobs", "reasoning.encrypted_content"
ConversationId = Annotated[
    Annotated[str, Tag("<id>")] | Annotated[dict[str, Any], Tag("<object>")],
    either(dict, "<object>", "<id>"),
]
