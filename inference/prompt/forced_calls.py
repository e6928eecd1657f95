"""The calls that an answer may or must have: their tools, as far as their schemas are held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from inference.api.generation import GenerationBody
from inference.api.tools import FunctionTool, NamedToolChoice
from inference.errors import InvalidInput, Location, Offender
from inference.prompt.held_schema import HeldSchema, SchemaRefused
from inference.tool_formats import TokenId, ToolFormat, ToolSpec


class Holding(Protocol):
    """A way to hold a schema: `held_schema.hold`, or `hold_compiled` with its compiler."""

    def __call__(self, schema: dict[str, Any], *, strict: bool) -> HeldSchema:
        """Return the schema as far as it is held. Raises `SchemaRefused`."""
        ...


def forced_tools(request: GenerationBody) -> tuple[FunctionTool, ...]:
    """Return the tools of which one must be called, none where the model may answer otherwise.

    Raises `InvalidInput` where a call is required and there is no such tool.
    """
    choice, tools = request.forced_choice, request.offered_tools
    if choice == "required" and not tools:
        raise _no_tool(("body", "tool_choice"), "required", "tool_choice required needs at least one tool")
    if isinstance(choice, NamedToolChoice):
        name = choice.function.name
        if not (named := tuple(tool for tool in tools if tool.function.name == name)):
            loc: Location = ("body", "tool_choice", "function", "name")
            raise _no_tool(loc, name, f"tools has no function named {name}")
        return named[:1]
    return tools if choice is not None else ()


def callable_tools(request: GenerationBody) -> tuple[FunctionTool, ...]:
    """Return the tools that the answer may call: those of which one must be, else all that are offered.

    Raises `InvalidInput` as `forced_tools` does, and for a call that must come with arguments of another type
    than an object.
    """
    forced = forced_tools(request)
    for tool, loc in _parameters(request, forced):
        _require_object(tool, loc)
    return forced or request.offered_tools


def hold_tools(
    request: GenerationBody, tools: tuple[FunctionTool, ...], holding: Holding
) -> tuple[list[ToolSpec], list[Location]]:
    """Return the tools with their schemas as far as they are held, and the locations that are not.

    Raises `SchemaRefused`, with the location of the schema, for a strict one that cannot be held whole.
    """
    specs, unheld = [], list[Location]()
    for tool, loc in _parameters(request, tools):
        parameters = tool.function.parameters
        if parameters is None:
            specs.append(ToolSpec(tool.function.name))
            continue
        try:
            held = holding(parameters, strict=bool(tool.function.strict))
        except SchemaRefused as refused:
            raise SchemaRefused(refused.problem, loc) from None
        specs.append(ToolSpec(tool.function.name, held.schema))
        unheld += [(*loc, *path) for path in held.unheld]
    return specs, unheld


def tools_as_objects(
    request: GenerationBody, tools: tuple[FunctionTool, ...]
) -> tuple[list[ToolSpec], list[Location]]:
    """Return the tools with any object as arguments, but those that are strict."""
    specs, unheld = [], list[Location]()
    for tool, loc in _parameters(request, tools):
        function = tool.function
        if function.strict or function.parameters is None:
            specs.append(ToolSpec(function.name, function.parameters))
        else:
            specs.append(ToolSpec(function.name, {"additionalProperties": True}))
            unheld.append(loc)
    return specs, unheld


def calls_grammar(
    request: GenerationBody, specs: Sequence[ToolSpec], tool_format: ToolFormat, token_id: TokenId
) -> str:
    """Return the grammar of an answer that is calls: several only where no tool is named and they may be."""
    parallel = request.forced_choice in (None, "required") and not request.single_call
    return tool_format.grammar(specs, parallel=parallel, token_id=token_id)


def _parameters(
    request: GenerationBody, tools: tuple[FunctionTool, ...]
) -> Iterator[tuple[FunctionTool, Location]]:
    """Yield each of the tools and the location of its parameters."""
    for loc, tool in request.located_tools():
        if any(tool is one for one in tools):
            yield tool, (*loc, "function", "parameters")


def _require_object(tool: FunctionTool, loc: Location) -> None:
    types = (tool.function.parameters or {}).get("type", "object")
    if "object" not in (types if isinstance(types, list) else [types]):
        message = f"the arguments of {tool.function.name} must be an object"
        raise InvalidInput([Offender((*loc, "type"), types, message)])


def _no_tool(loc: Location, value: str, message: str) -> InvalidInput:
    return InvalidInput([Offender(loc, value, message)])
