import json

import pytest

from inference.contracts import Text, ToolCallArguments, ToolCallStart
from inference.tool_formats import TOOL_FORMATS, CallReader
from tests.tool_formats.parsing import parse

CALL = '{"name": "plan", "arguments": {"days": 2}}'
FENCED = f"```json\n{CALL}\n```"


def reader(*offered: str) -> CallReader:
    return TOOL_FORMATS["hermes"].read(offered or ("plan",), lambda: "call_1")


@pytest.mark.parametrize(
    ("answer", "calls"),
    [
        (CALL, 1),
        (f" \n{CALL}\n ", 1),
        (FENCED, 1),
        (f"```\n{CALL}\n```", 1),
        (f"```{CALL}```", 1),
        (f"```tool_call\n{CALL}\n```", 1),
        (f"```json\n{CALL}", 1),
        (f"```json\r\n{CALL}\r\n```\r\n", 1),
        (f"[{CALL}, {CALL}]", 2),
        (f"{CALL}, {CALL}", 2),
        (f"{CALL};\n{CALL}", 2),
        (f"{FENCED}\n{FENCED}", 2),
        (f"```json\n[\n{CALL},\n{CALL}\n]\n```", 2),
        (f"<tool>{CALL}</tool>", 1),
        (f"<function_call>\n{CALL}\n</function_call>", 1),
        ('{"function": "plan", "arguments": {"days": 2}}', 1),
        ('{"type": "function", "name": "plan", "parameters": {"days": 2}}', 1),
        ('{"type": "function", "function": "plan", "parameters": {"days": 2}}', 1),
        ('{"type": "function", "function": {"name": "plan", "parameters": {"days": 2}}}', 1),
        ('{"parameters": {"days": 2}, "name": "plan"}', 1),
        ('{"name": "plan", "arguments": "{\\"days\\": 2}"}', 1),
    ],
)
@pytest.mark.parametrize("tool_format", ["hermes", "phi", "mistral"])
def test_an_answer_that_is_nothing_but_calls_is_calls(tool_format: str, answer: str, calls: int) -> None:
    expected = [("plan", {"days": 2})] * calls
    for pieces in ([answer], list(answer)):
        text, found = parse(tool_format, pieces, ["plan"])
        assert text == ""
        assert [(name, json.loads(arguments)) for name, arguments in found] == expected


@pytest.mark.parametrize(
    "answer",
    [
        f"So: {CALL}",
        f"{CALL} is the call.",
        f"{FENCED}\nThat is it.",
        f"{CALL}\n\n{FENCED}" + " x",
        f"{CALL} {{}}",
        f"[{CALL}",
        f"[{CALL}] x",
        f"[{CALL}]]",
        f"```python\n{CALL}\n```",
        "```json\n[]\n```",
        "[]",
        "{}",
        "```",
        "```json",
        "``",
        "<tool",
        "<tools>",
        "<toolbox>",
        '{"name": "unknown", "arguments": {}}',
        '{"name": "plan"}',
        '{"name": "plan", "age": 3}',
        '{"name": "plan", "arguments": {}, "description": "plans days"}',
        '{"name": "plan", "arguments": [2]}',
        '{"name": "plan", "arguments": "soon"}',
        '{"name": "plan", "arguments": {"days": 2}',
        '{"name": "plan", "parameters": {"type": "object", "properties": {}}}',
        '{"name": "plan", "arguments": {"a": "x\ny"}}',
        '{"people": [{"name": "plan", "arguments": {}}]}',
        '[1, {"name": "plan", "arguments": {}}]',
        f'[{CALL}, {{"name": "unknown", "arguments": {{}}}}]',
        "[note] plan it",
        "`plan` is a tool",
    ],
)
@pytest.mark.parametrize("tool_format", ["hermes", "phi", "mistral"])
def test_a_text_with_anything_else_stays_as_written(tool_format: str, answer: str) -> None:
    for pieces in ([answer], list(answer)):
        assert parse(tool_format, pieces, ["plan"]) == (answer, [])


@pytest.mark.parametrize(
    ("start", "held"),
    [
        ("```json\n", True),
        ("```python", True),
        ("```python\nx", False),
        ('{"name": "pl', True),
        ('{"name": "unknown"', False),
        ('{"rows"', False),
        ('{"name": "plan", "arguments": {"a": [', True),
        ("Sure", False),
        ("[1", False),
        ("<tools>\n{", True),
        ("<b", False),
        (FENCED, True),
        (FENCED + "\nIt", False),
    ],
)
def test_text_is_held_back_only_while_it_may_be_calls(start: str, held: bool) -> None:
    one = reader()
    events = [event for character in start for event in one.push(character)]
    assert (events == []) is held
    assert one.pending == (len(start) if held else 0)


def test_an_answer_cut_inside_a_call_has_the_call_so_far() -> None:
    one = reader()
    assert list(one.push('```json\n{"name": "plan", "arguments": {"days": [1')) == []
    assert list(one.flush(cut=True)) == [
        ToolCallStart(0, "call_1", "plan"),
        ToolCallArguments(0, '{"days": [1'),
    ]


def test_an_answer_cut_before_a_name_is_complete_stays_text() -> None:
    one = reader()
    assert list(one.push('```json\n{"name": "pl')) == []
    events = [*one.flush(cut=True)]
    assert events == [Text('```json\n{"name": "pl')]
    assert one.completed_calls == 0


def test_marked_calls_after_an_unmarked_start_are_the_formats_own() -> None:
    answer = f"<tool_call>\n{CALL}\n</tool_call>"
    assert parse("hermes", list(answer), ["plan"]) == ("", [("plan", '{"days": 2}')])
    assert parse("hermes", list(f"{CALL}\n{answer}"), ["plan"]) == (CALL, [("plan", '{"days": 2}')])


def test_calls_are_counted_when_they_are_complete() -> None:
    one = reader()
    one.push(f"[{CALL}, {CALL}]")
    one.flush()
    assert one.completed_calls == 2
