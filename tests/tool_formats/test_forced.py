"""What a forced answer can be: always calls that its own reader reads and whose arguments are valid."""

import json
import re
from typing import Any

import jsonschema
import pytest

from inference.contracts import Constraint, Grammar
from inference.tool_formats import TOOL_FORMATS, ToolSpec, call_grammar
from tests.tool_formats import walking
from tests.tool_formats.parsing import told

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
ORDER = ("city", "unit", "days", "near")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
SPACING = re.compile(r"(?:[^\s:,]|: (?=\S)|, (?=\S))*")
SCHEMAS = {tool.name: call_grammar.schema_of(tool) for tool in TOOLS}
NAMES = [tool.name for tool in TOOLS]
VOCABULARIES = {
    "with-all-marks": (),
    "without-marks": (*walking.SPECIAL, *walking.PLAIN),
    "without-arguments-mark": ("[ARGS]",),
}
vocabularies = pytest.mark.parametrize("without", VOCABULARIES.values(), ids=VOCABULARIES)
dialects = pytest.mark.parametrize("dialect", sorted(TOOL_FORMATS))


def forced(dialect: str, *tools: ToolSpec, parallel: bool, without: tuple[str, ...] = ()) -> str:
    token_id = walking.tokenizer(*without).token_to_id
    return TOOL_FORMATS[dialect].force(tools, parallel=parallel, token_id=token_id)


@dialects
@vocabularies
@pytest.mark.parametrize("parallel", [False, True])
def test_every_answer_is_valid_calls(dialect: str, without: tuple[str, ...], parallel: bool) -> None:
    lark = forced(dialect, *TOOLS, parallel=parallel, without=without)
    counts, names = set(), set()
    for seed in range(25):
        answer = walking.walk(lark, walking.tokenizer(*without), seed)
        text, calls = told(dialect, list(answer), NAMES)
        assert text == "", answer
        for name, arguments in calls:
            jsonschema.validate(json.loads(arguments), SCHEMAS[name])
        counts.add(len(calls))
        names |= {name for name, _ in calls}
    assert names == set(NAMES)
    assert counts > {1} if parallel else counts == {1}


@dialects
def test_a_named_function_is_called_once(dialect: str) -> None:
    lark = forced(dialect, TOOLS[0], parallel=False)
    for seed in range(10):
        _, calls = told(dialect, [walking.walk(lark, walking.tokenizer(), seed)], NAMES)
        assert [name for name, _ in calls] == ["get_weather"]


@dialects
def test_arguments_are_spaced_one_way_and_ordered_as_their_schema(dialect: str) -> None:
    lark = forced(dialect, TOOLS[0], parallel=False)
    for seed in range(10):
        _, ((_, arguments),) = told(dialect, [walking.walk(lark, walking.tokenizer(), seed)], NAMES)
        written = list(json.loads(arguments))
        assert written == [key for key in ORDER if key in written]
        assert SPACING.fullmatch(STRING.sub("s", arguments)), arguments


@pytest.mark.parametrize(
    ("dialect", "without", "begin"),
    [
        ("hermes", (), '<tool_call>\n{"name": "get_weather", "arguments": {"city": "'),
        ("llama3", (), '{"name": "get_weather", "parameters": {"city": "'),
        ("mistral", (), '[TOOL_CALLS]get_weather[ARGS]{"city": "'),
        ("mistral", ("[ARGS]",), '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "'),
        ("phi", (), '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "'),
        ("phi", ("<|tool_call|>",), 'functools[{"name": "get_weather", "arguments": {"city": "'),
    ],
)
def test_how_a_forced_call_begins(dialect: str, without: tuple[str, ...], begin: str) -> None:
    lark = forced(dialect, TOOLS[0], parallel=False, without=without)
    assert walking.walk(lark, walking.tokenizer(*without), 1).startswith(begin)


A = {"a": {"type": "integer"}}


@pytest.mark.parametrize(
    ("parameters", "closed"),
    [
        (None, False),
        ({}, False),
        ({"properties": A}, True),
        ({"properties": A, "required": ["a"], "type": ["object", "null"]}, True),
        ({"properties": A, "required": ["b"]}, False),
        ({"properties": A, "additionalProperties": True}, False),
        ({"properties": A, "anyOf": [{"required": ["b"]}, {"required": ["a"]}]}, False),
    ],
)
def test_parameters_that_nobody_named_are_not_invented(parameters: Any, closed: bool) -> None:
    schema = call_grammar.schema_of(ToolSpec("a", parameters))
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
def test_a_schema_that_cannot_be_kept_is_known_alone(parameters: dict[str, Any], named: str) -> None:
    lark = f"start: {call_grammar.arguments(ToolSpec('bad', parameters))}"
    assert named in walking.problem(lark, walking.tokenizer())
    assert walking.problem(f"start: {call_grammar.arguments(TOOLS[0])}", walking.tokenizer()) == ""


def test_a_constraint_is_the_text_and_its_language() -> None:
    constraint = Constraint(Grammar.LARK, forced("hermes", *TOOLS, parallel=True))
    assert walking.problem(constraint.source, walking.tokenizer()) == ""
