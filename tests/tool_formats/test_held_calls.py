"""Answers that a grammar holds: calls or a form, cut anywhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import jsonschema
import pytest

from inference.contracts import Constraint, Event, Grammar, Text, ToolCallArguments, ToolCallStart
from inference.prompt.composed_grammar import JSON_OBJECT, calls_or_form, object_unlike_calls
from inference.tool_formats import TOOL_FORMATS, HeldCallReader, ToolSpec, call_grammar
from tests.tool_formats import walking
from tests.tool_formats.test_call_grammar import NAMES, SCHEMAS, TOOLS, forced, tool_formats, vocabularies

FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"age": {"type": "integer"}, "name": {"type": "string"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
HELD_FORM = Constraint(Grammar.JSON_SCHEMA, json.dumps(FORM))
Parsed = tuple[str, list[tuple[str, str]]]


def parsed(
    tool_format: str, pieces: Sequence[str], heads: Sequence[str] = (), *, cut: bool = False
) -> Parsed:
    one = TOOL_FORMATS[tool_format]
    reader = HeldCallReader(one.read(NAMES, one.new_id), heads)
    events: list[Event] = [event for piece in pieces for event in reader.push(piece)]
    events += reader.flush(cut=cut)
    text, calls = "", list[tuple[str, str]]()
    for event in events:
        match event:
            case Text(piece):
                text += piece
            case ToolCallStart(_, _, name):
                calls.append((name, ""))
            case ToolCallArguments(index, piece):
                calls[index] = (calls[index][0], calls[index][1] + piece)
    return text, calls


def walked(lark: str, without: tuple[str, ...], count: int = 40) -> list[str]:
    return [walking.walk(lark, walking.tokenizer(*without), seed) for seed in range(count)]


@tool_formats
@vocabularies
@pytest.mark.parametrize("parallel", [False, True])
def test_every_answer_is_calls_that_are_valid_or_the_form(
    tool_format: str, without: tuple[str, ...], parallel: bool
) -> None:
    calls = forced(tool_format, *TOOLS, parallel=parallel, without=without)
    heads = TOOL_FORMATS[tool_format].heads(NAMES)
    kinds = set()
    for answer in walked(calls_or_form(calls, HELD_FORM).source, without):
        text, found = parsed(tool_format, list(answer), heads)
        assert (text, found) == parsed(tool_format, [answer], heads)
        if found:
            assert text == ""
            for name, arguments in found:
                jsonschema.validate(json.loads(arguments), SCHEMAS[name])
        else:
            jsonschema.validate(json.loads(text), FORM)
        kinds.add(len(found))
    assert kinds >= ({0, 1, 2} if parallel else {0, 1})
    assert parallel or kinds == {0, 1}


def test_a_form_whose_text_is_a_call_stays_text() -> None:
    call = '<tool_call>\n{"name": "plan", "arguments": {}}\n</tool_call>'
    answer = json.dumps({"name": call, "age": 3})
    assert parsed("hermes", list(answer), TOOL_FORMATS["hermes"].heads(NAMES)) == (answer, [])


def test_json_objects_beside_calls_without_marks_do_not_start_as_one() -> None:
    vocabulary = walking.tokenizer()
    lark = calls_or_form(forced("llama3", *TOOLS, parallel=True), object_unlike_calls(NAMES)).source
    for answer, fits in [
        ('{"name": "plan"}', False),
        ('{"name": "planet", "parameters": {"b": 1}}', True),
        ('{"a": {"name": "plan"}}', True),
        ('{\n  "name" : 3}', False),
        ('{\n  "name": 3}', True),
        ('{"name": "get_weather", "parameters": {"x": 1}}', False),
        ('{"name": "plan", "parameters": {}}', True),
        ("{}", True),
    ]:
        assert walking.fits(lark, vocabulary, answer) is fits, answer
    for answer in walked(lark, ()):
        text, found = parsed("llama3", list(answer), TOOL_FORMATS["llama3"].heads(NAMES))
        assert bool(text) is not bool(found)
        assert found or isinstance(json.loads(text), dict)


def test_calls_after_a_mark_leave_every_other_object_to_the_form() -> None:
    mark = TOOL_FORMATS["llama3"].optional_mark
    calls = call_grammar.after_mark(
        mark, forced("llama3", *TOOLS, parallel=True), walking.tokenizer().token_to_id
    )
    lark = calls_or_form(calls, JSON_OBJECT).source
    kinds = set()
    for answer in walked(lark, ()):
        text, found = parsed("llama3", list(answer), (mark,))
        assert bool(text) is not bool(found)
        kinds.add(bool(found))
    assert kinds == {True, False}
    text = '{"name": "plan", "parameters": {"a": 1}}'
    assert parsed("llama3", [text], (mark,)) == (text, [])


@tool_formats
@vocabularies
def test_a_call_cut_anywhere_has_no_text_and_a_prefix_of_its_arguments(
    tool_format: str, without: tuple[str, ...]
) -> None:
    heads = TOOL_FORMATS[tool_format].heads(NAMES)
    for answer in walked(forced(tool_format, *TOOLS, parallel=True, without=without), without, 3):
        _, whole = parsed(tool_format, [answer])
        for end in range(len(answer)):
            for held in ((), heads):
                text, calls = parsed(tool_format, [answer[:end]], held, cut=True)
                assert (text, calls) == parsed(tool_format, list(answer[:end]), held, cut=True)
                assert text == ""
                assert [name for name, _ in calls] == [name for name, _ in whole[: len(calls)]]
                for (_, arguments), (_, all_of_them) in zip(calls, whole, strict=False):
                    assert all_of_them.startswith(arguments)


@pytest.mark.parametrize(
    ("tool_format", "answer", "calls"),
    [
        ("hermes", '<tool_call>\n{"name": "pla', []),
        ("hermes", '<tool_call>\n{"name": "plan"', [("plan", "")]),
        ("hermes", '<tool_call>\n{"name": "plan", "argum', [("plan", "")]),
        ("hermes", '<tool_call>\n{"name": "plan", "arguments": {"a', [("plan", '{"a')]),
        ("mistral", "[TOOL_CALLS]pla", []),
        ("mistral", "[TOOL_CALLS]plan[ARG", [("plan", "")]),
        ("mistral", '[TOOL_CALLS][{"name": "plan", ', [("plan", "")]),
        ("llama3", '{"name": "plan", ', [("plan", "")]),
        ("phi", '<|tool_call|>[{"name": "pl', []),
    ],
)
def test_a_cut_call_is_told_once_it_has_its_name(
    tool_format: str, answer: str, calls: list[tuple[str, str]]
) -> None:
    assert parsed(tool_format, [answer], cut=True) == ("", calls)


@pytest.mark.parametrize(
    ("tool_format", "answer", "text"),
    [
        ("hermes", 'So: <tool_call>\n{"name": "pl', "So:"),
        ("hermes", "So <tool_c", "So"),
        ("hermes", "the tag <tool_call> is", "the tag <tool_call> is"),
        ("llama3", '{"rows": [1, 2', '{"rows": [1, 2'),
        ("llama3", '{"name": "Ada", "age', '{"name": "Ada", "age'),
        ("llama3", '{"name": "pla', ""),
        ("phi", "I look: functools[{", "I look:"),
    ],
)
def test_a_free_answer_that_is_cut_has_no_half_mark(tool_format: str, answer: str, text: str) -> None:
    def texts(events: Sequence[Event]) -> str:
        return "".join(event.text for event in events if isinstance(event, Text))

    reader = TOOL_FORMATS[tool_format].read(NAMES, TOOL_FORMATS[tool_format].new_id)
    assert texts([*reader.push(answer), *reader.flush(cut=True)]) == text


def test_tools_whose_names_start_alike_are_told_apart() -> None:
    tools: list[Any] = [ToolSpec("get"), ToolSpec("get_more")]
    person = {**FORM, "properties": dict(reversed(FORM["properties"].items()))}
    form = Constraint(Grammar.JSON_SCHEMA, json.dumps(person))
    lark = calls_or_form(forced("llama3", *tools, parallel=False), form).source
    for answer in (
        '{"name": "get_more", "parameters": {}}',
        '{"name": "get", "age": 1}',
        '{"name": "get_", "age": 1}',
        '{"name": "Ada", "age": 1}',
    ):
        assert walking.fits(lark, walking.tokenizer(), answer)
