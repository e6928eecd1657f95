"""Tools, the choice among them, and the format of an answer, as clients send them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Tag

from inference.api.validation import WireModel, either

FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class Function(WireModel):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(WireModel):
    type: Literal["function"]
    function: Function


class NamedFunction(WireModel):
    name: FunctionName


class NamedToolChoice(WireModel):
    type: Literal["function"]
    function: NamedFunction


class AllowedTool(WireModel):
    type: Literal["function"]
    function: NamedFunction


class AllowedTools(WireModel):
    mode: Literal["auto", "required"]
    tools: list[AllowedTool] = Field(min_length=1)


class AllowedToolChoice(WireModel):
    """A choice among some of the tools, which leaves the list of all of them as it is."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


ToolChoice = Annotated[
    Annotated[Literal["auto", "none", "required"], Tag("<word>")]
    | Annotated[Annotated[NamedToolChoice | AllowedToolChoice, Field(discriminator="type")], Tag("<object>")],
    either(dict, "<object>", "<word>"),
]


class TextFormat(WireModel):
    type: Literal["text"]


class JsonObjectFormat(WireModel):
    """Any JSON object, or one of a schema: the form in which llama.cpp takes it."""

    type: Literal["json_object"]
    schema_: dict[str, Any] | None = Field(None, alias="schema")


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
    either(dict, "<object>", "<word>"),
]
