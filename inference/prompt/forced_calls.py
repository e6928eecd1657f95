"""`tool_choice` as a constraint: a call that must come does come, and is valid."""

from __future__ import annotations

from collections.abc import Iterator

from inference.api.chat import ChatRequest, FunctionTool, NamedToolChoice
from inference.contracts import Constraint, Grammar
from inference.errors import InvalidInput, Location, Offender
from inference.tool_formats import TokenId, ToolFormat, call_grammar
from inference.tool_formats import ToolSpec as Offer


def forced_tools(request: ChatRequest) -> tuple[FunctionTool, ...]:
    """The tools of which one must be called; none where the model may answer otherwise.

    Raises `InvalidInput` where there is none to call.
    """
    choice, tools = request.tool_choice, tuple(request.tools or ())
    if choice == "required" and not tools:
        raise _nothing(("body", "tool_choice"), "required", "a call is required and no tools are given")
    if isinstance(choice, NamedToolChoice):
        name = choice.function.name
        if not (named := tuple(tool for tool in tools if tool.function.name == name)):
            place: Location = ("body", "tool_choice", "function", "name")
            raise _nothing(place, name, f"{name} is none of the tools")
        return named[:1]
    return tools if choice == "required" else ()


def forced_call(request: ChatRequest, dialect: ToolFormat | None, token_id: TokenId) -> Constraint | None:
    """What the answer must be where a call must come. Raises `InvalidInput` as `forced_tools` does."""
    tools = forced_tools(request)
    if not tools or dialect is None:
        return None
    for index, tool in enumerate(request.tools or ()):
        if tool in tools:
            _require_object(tool, ("body", "tools", index, "function", "parameters"))
    parallel = request.tool_choice == "required" and request.parallel_tool_calls is not False
    plain = [_plain(tool) for tool in tools]
    return Constraint(Grammar.LARK, dialect.grammar(plain, parallel=parallel, token_id=token_id))


def forced_schemas(request: ChatRequest) -> Iterator[tuple[Location, Constraint]]:
    """Each schema that `forced_call` builds in, alone and with its place: for who must say which one is at
    fault when the constraint cannot be kept. Raises `InvalidInput` as `forced_tools` does."""
    forced = forced_tools(request)
    for index, tool in enumerate(request.tools or ()):
        if tool in forced:
            place: Location = ("body", "tools", index, "function", "parameters")
            yield place, Constraint(Grammar.LARK, f"start: {call_grammar.arguments(_plain(tool))}")


def _require_object(tool: FunctionTool, place: Location) -> None:
    kinds = (tool.function.parameters or {}).get("type", "object")
    if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
        message = f"the arguments of {tool.function.name} cannot be anything but an object"
        raise InvalidInput([Offender((*place, "type"), kinds, message)])


def _plain(tool: FunctionTool) -> Offer:
    return Offer(tool.function.name, tool.function.parameters)


def _nothing(place: Location, value: str, message: str) -> InvalidInput:
    return InvalidInput([Offender(place, value, message)])
