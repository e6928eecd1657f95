"""Grammars of forced calls: every answer parses as calls with valid arguments, in every tool format."""

import json
import re
from typing import Any

import jsonschema
import pytest

from inference.contracts import Constraint, Grammar
from inference.tool_formats import TOOL_FORMATS, ToolSpec, call_grammar
from tests.tool_formats import walking
from tests.tool_formats.parsing import parse

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "unit": {"enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 16},
        "near": {"type": "array", "items": {"$ref": "#/$defs/place"}, "maxItems": 3},
    },
    "required": ["city", "unit"],
    "additionalProperties": False,
    "$defs": {"place": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]}},
}
TOOLS = (
    ToolSpec("get_weather", WEATHER),
    ToolSpec("send-mail", {"properties": {"to": {"type": "string"}}, "required": ["to"]}),
    ToolSpec("plan"),
)
PROPERTY_ORDER = ("city", "unit", "days", "near")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
SPACING = re.compile(r"(?:[^\s:,]|: (?=\S)|, (?=\S))*")
SCHEMAS = {tool.name: call_grammar.arguments_schema(tool) for tool in TOOLS}
NAMES = [tool.name for tool in TOOLS]
VOCABULARIES = {
    "with-all-marks": (),
    "without-marks": (*walking.SPECIAL, *walking.PLAIN),
    "without-arguments-mark": ("[ARGS]",),
}
vocabularies = pytest.mark.parametrize("without", VOCABULARIES.values(), ids=VOCABULARIES)
tool_formats = pytest.mark.parametrize("tool_format", sorted(TOOL_FORMATS))


def forced(tool_format: str, *tools: ToolSpec, parallel: bool, without: tuple[str, ...] = ()) -> str:
    token_id = walking.tokenizer(*without).token_to_id
    return TOOL_FORMATS[tool_format].grammar(tools, parallel=parallel, token_id=token_id)


@tool_formats
@vocabularies
@pytest.mark.parametrize("parallel", [False, True])
def test_every_answer_of_a_grammar_is_valid_calls(
    tool_format: str, without: tuple[str, ...], parallel: bool
) -> None:
    lark = forced(tool_format, *TOOLS, parallel=parallel, without=without)
    counts, names = set(), set()
    for seed in range(25):
        answer = walking.walk(lark, walking.tokenizer(*without), seed)
        text, calls = parse(tool_format, list(answer), NAMES)
        assert text == "", answer
        for name, arguments in calls:
            jsonschema.validate(json.loads(arguments), SCHEMAS[name])
        counts.add(len(calls))
        names |= {name for name, _ in calls}
    assert names == set(NAMES)
    assert counts > {1} if parallel else counts == {1}


@tool_formats
def test_a_named_function_is_called_once(tool_format: str) -> None:
    lark = forced(tool_format, TOOLS[0], parallel=False)
    for seed in range(10):
        _, calls = parse(tool_format, [walking.walk(lark, walking.tokenizer(), seed)], NAMES)
        assert [name for name, _ in calls] == ["get_weather"]


@tool_formats
def test_arguments_have_one_spacing_and_the_property_order_of_their_schema(tool_format: str) -> None:
    lark = forced(tool_format, TOOLS[0], parallel=False)
    for seed in range(10):
        _, ((_, arguments),) = parse(tool_format, [walking.walk(lark, walking.tokenizer(), seed)], NAMES)
        written = list(json.loads(arguments))
        assert written == [key for key in PROPERTY_ORDER if key in written]
        assert SPACING.fullmatch(STRING.sub("s", arguments)), arguments


@pytest.mark.parametrize(
    ("tool_format", "without", "start"),
    [
        ("hermes", (), '<tool_call>\n{"name": "get_weather", "arguments": {"city": "'),
        ("llama3", (), '{"name": "get_weather", "parameters": {"city": "'),
        ("mistral", (), '[TOOL_CALLS]get_weather[ARGS]{"city": "'),
        ("mistral", ("[ARGS]",), '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "'),
        ("phi", (), '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "'),
        ("phi", ("<|tool_call|>",), 'functools[{"name": "get_weather", "arguments": {"city": "'),
    ],
)
def test_a_forced_call_starts_as_its_family_writes_it(
    tool_format: str, without: tuple[str, ...], start: str
) -> None:
    lark = forced(tool_format, TOOLS[0], parallel=False, without=without)
    assert walking.walk(lark, walking.tokenizer(*without), 1).startswith(start)


A = {"a": {"type": "integer"}}


@pytest.mark.parametrize(
    ("parameters", "closed"),
    [
        (None, True),
        ({}, True),
        ({"type": "object"}, True),
        ({"type": "object", "properties": {}}, True),
        ({"additionalProperties": {"type": "string"}}, False),
        ({"patternProperties": {"^a": {}}}, False),
        ({"minProperties": 1}, False),
        ({"required": ["a"]}, False),
        ({"properties": A}, True),
        ({"properties": A, "required": ["a"], "type": ["object", "null"]}, True),
        ({"properties": A, "required": ["b"]}, False),
        ({"properties": A, "additionalProperties": True}, False),
        ({"properties": A, "anyOf": [{"required": ["b"]}, {"required": ["a"]}]}, False),
    ],
)
def test_a_schema_that_names_its_properties_is_closed_to_others(parameters: Any, closed: bool) -> None:
    schema = call_grammar.arguments_schema(ToolSpec("a", parameters))
    assert schema["type"] == "object"
    assert (schema.get("additionalProperties") is False) is closed
    assert (
        walking.problem(f"start: {call_grammar.arguments(ToolSpec('a', parameters))}", walking.tokenizer())
        == ""
    )


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"properties": {"a": {"not": {}}}}, "not"),
        ({"properties": {"a": {"format": "elvish"}}}, "elvish"),
        ({"properties": {"a": {"type": "text"}}}, "text"),
        ({"properties": 5}, "properties"),
        ({"properties": A, "required": 5}, "required"),
        ({"properties": A, "required": [{}]}, "required"),
        ({"properties": {"a": {"const": "\ud800"}}}, "hex escape"),
    ],
)
def test_a_schema_that_cannot_be_enforced_fails_by_itself(parameters: dict[str, Any], named: str) -> None:
    lark = f"start: {call_grammar.arguments(ToolSpec('bad', parameters))}"
    assert named in walking.problem(lark, walking.tokenizer())
    assert walking.problem(f"start: {call_grammar.arguments(TOOLS[0])}", walking.tokenizer()) == ""


def test_the_grammar_of_every_tool_compiles_as_a_constraint() -> None:
    constraint = Constraint(Grammar.LARK, forced("hermes", *TOOLS, parallel=True))
    assert walking.problem(constraint.source, walking.tokenizer()) == ""
