"""`tool_choice` as a constraint: a required call is written, and its arguments are valid."""

from __future__ import annotations

from collections.abc import Iterator

from inference.api.generation import GenerationBody
from inference.api.tools import FunctionTool, NamedToolChoice
from inference.contracts import Constraint, Grammar
from inference.errors import InvalidInput, Location, Offender
from inference.tool_formats import TokenId, ToolFormat, ToolSpec, call_grammar


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


def forced_call(
    request: GenerationBody, tool_format: ToolFormat | None, token_id: TokenId
) -> Constraint | None:
    """Return the constraint of an answer that must be a call, None where it need not be.

    Raises `InvalidInput` as `forced_tools` does, and for arguments that are no object.
    """
    tools = forced_tools(request)
    if not tools or tool_format is None:
        return None
    for tool, loc in _parameters(request, tools):
        _require_object(tool, loc)
    parallel = request.forced_choice == "required" and not request.single_call
    specs = [_spec(tool) for tool in tools]
    return Constraint(Grammar.LARK, tool_format.grammar(specs, parallel=parallel, token_id=token_id))


def forced_schemas(request: GenerationBody) -> Iterator[tuple[Location, Constraint]]:
    """Yield the location of each schema in the `forced_call` and a constraint of that schema alone.

    When the whole constraint cannot be enforced, these find the schema at fault. Raises `InvalidInput` as
    `forced_tools` does.
    """
    for tool, loc in _parameters(request, forced_tools(request)):
        yield loc, Constraint(Grammar.LARK, f"start: {call_grammar.arguments(_spec(tool))}")


def _parameters(
    request: GenerationBody, forced: tuple[FunctionTool, ...]
) -> Iterator[tuple[FunctionTool, Location]]:
    """Yield each forced tool and the location of its parameters."""
    for loc, tool in request.located_tools():
        if tool in forced:
            yield tool, (*loc, "function", "parameters")


def _require_object(tool: FunctionTool, loc: Location) -> None:
    types = (tool.function.parameters or {}).get("type", "object")
    if "object" not in (types if isinstance(types, list) else [types]):
        message = f"the arguments of {tool.function.name} must be an object"
        raise InvalidInput([Offender((*loc, "type"), types, message)])


def _spec(tool: FunctionTool) -> ToolSpec:
    return ToolSpec(tool.function.name, tool.function.parameters)


def _no_tool(loc: Location, value: str, message: str) -> InvalidInput:
    return InvalidInput([Offender(loc, value, message)])
