"""`tool_choice`: the calls it forces, and the requests it refuses."""

from typing import Any

import pytest

from inference.api.chat import ChatRequest
from inference.api.validation import validate
from inference.contracts import Constraint, Grammar
from inference.errors import InvalidInput
from inference.prompt.forced_calls import callable_tools, calls_grammar, forced_tools, hold_tools
from inference.prompt.held_schema import SchemaRefused, hold
from inference.tool_formats import TOOL_FORMATS
from tests.tool_formats import walking
from tests.tool_formats.parsing import parse

NAMES = ["look", "find"]
TOOLS = [{"type": "function", "function": {"name": name}} for name in NAMES]
NAMED = {"type": "function", "function": {"name": "find"}}


def request_of(**body: Any) -> ChatRequest:
    return validate(ChatRequest, {"messages": [{"role": "user", "content": "hi"}], **body})


def forced(**body: Any) -> Constraint | None:
    request = request_of(**body)
    tools = callable_tools(request)
    if not request.must_call:
        return None
    specs, _ = hold_tools(request, tools, hold)
    token_id = walking.tokenizer().token_to_id
    return Constraint(Grammar.LARK, calls_grammar(request, specs, TOOL_FORMATS["hermes"], token_id))


@pytest.mark.parametrize(
    "body", [{}, {"tools": TOOLS}, {"tools": TOOLS, "tool_choice": "auto"}, {"tool_choice": "none"}]
)
def test_no_call_is_forced_unless_required_or_named(body: dict[str, Any]) -> None:
    assert forced(**body) is None
    assert forced_tools(request_of(**body)) == ()


@pytest.mark.parametrize(
    ("body", "counts", "names"),
    [
        ({"tool_choice": "required"}, {1, 2}, set(NAMES)),
        ({"tool_choice": "required", "parallel_tool_calls": False}, {1}, set(NAMES)),
        ({"tool_choice": NAMED}, {1}, {"find"}),
        ({"tool_choice": NAMED, "parallel_tool_calls": True}, {1}, {"find"}),
    ],
)
def test_a_required_or_named_call_is_the_only_answer(
    body: dict[str, Any], counts: set[int], names: set[str]
) -> None:
    constraint = forced(tools=TOOLS, **body)
    assert constraint is not None
    assert constraint.grammar is Grammar.LARK
    answers = [walking.walk(constraint.source, walking.tokenizer(), seed) for seed in range(15)]
    calls = [parse("hermes", [answer], NAMES)[1] for answer in answers]
    assert {len(several) for several in calls} >= counts
    assert len(counts) == 2 or {len(several) for several in calls} == counts
    assert {name for several in calls for name, _ in several} == names


@pytest.mark.parametrize(
    ("body", "loc", "value"),
    [
        ({"tool_choice": "required"}, ("body", "tool_choice"), "required"),
        ({"tool_choice": NAMED}, ("body", "tool_choice", "function", "name"), "find"),
        ({"tool_choice": NAMED, "tools": TOOLS[:1]}, ("body", "tool_choice", "function", "name"), "find"),
    ],
)
def test_a_call_without_a_tool_is_refused(body: dict[str, Any], loc: Any, value: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        forced(**body)
    (offender,) = refusal.value.offenders
    assert (offender.loc, offender.input) == (loc, value)


@pytest.mark.parametrize(
    ("types", "fine"),
    [("string", False), (["array", "null"], False), ({}, False), (["object", "null"], True)],
)
def test_arguments_that_cannot_be_an_object_are_refused(types: Any, fine: bool) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": types}}}
    body = {"tools": [TOOLS[1], tool], "tool_choice": "required"}
    assert forced(tools=[tool]) is None
    if fine:
        assert forced(**body) is not None
        return
    with pytest.raises(InvalidInput) as refusal:
        forced(**body)
    assert refusal.value.offenders[0].loc == ("body", "tools", 1, "function", "parameters", "type")


BAD = {"type": "object", "properties": {"a": {"type": "string", "not": {"const": "b"}}}}
PLACE = ("body", "tools", 2, "function", "parameters")


def odd_tool(**more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "odd", "parameters": BAD, **more}}


def test_one_odd_tool_costs_no_other_and_is_named_in_its_place() -> None:
    request = request_of(tools=[*TOOLS, odd_tool()], tool_choice="required")
    specs, unheld = hold_tools(request, callable_tools(request), hold)
    assert [spec.name for spec in specs] == [*NAMES, "odd"]
    assert specs[2].parameters == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert unheld == [(*PLACE, "properties", "a", "not")]


def test_a_strict_tool_that_cannot_be_held_is_refused_at_its_location() -> None:
    request = request_of(tools=[*TOOLS, odd_tool(strict=True)], tool_choice="required")
    with pytest.raises(SchemaRefused) as refusal:
        hold_tools(request, callable_tools(request), hold)
    assert refusal.value.loc == PLACE
    assert refusal.value.problem.path == ("properties", "a", "not")


def test_tools_that_may_not_be_called_are_not_judged() -> None:
    request = request_of(tools=[*TOOLS, odd_tool(strict=True)], tool_choice=NAMED)
    specs, unheld = hold_tools(request, callable_tools(request), hold)
    assert ([spec.name for spec in specs], unheld) == (["find"], [])


def test_a_required_call_among_allowed_tools_is_of_one_of_them_at_its_place_in_the_list() -> None:
    allowed = [NAMED, {"type": "function", "function": {"name": "odd"}}]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": allowed}}
    body = {"tools": [*TOOLS, odd_tool()], "tool_choice": choice, "parallel_tool_calls": False}
    constraint = forced(**body)
    assert constraint is not None
    answers = [walking.walk(constraint.source, walking.tokenizer(), seed) for seed in range(8)]
    names = [*NAMES, "odd"]
    assert {name for answer in answers for name, _ in parse("hermes", [answer], names)[1]} == {"find", "odd"}
    request = request_of(**body)
    specs, unheld = hold_tools(request, callable_tools(request), hold)
    assert [spec.name for spec in specs] == ["find", "odd"]
    assert unheld == [(*PLACE, "properties", "a", "not")]
