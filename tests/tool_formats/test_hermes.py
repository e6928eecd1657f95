import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inference.contracts import Text, ToolCallArguments, ToolCallStart
from inference.tool_formats import hermes
from tests.tool_formats import parsing
from tests.tool_formats.parsing import Parsed, split

OFFERED = ("get_weather", "add")
WEATHER = '{"city": "Paris \\"}</tool_call>{\\\\", "days": [1, {"a": 2}]}'


def block(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def parse(pieces: list[str]) -> Parsed:
    return parsing.parse("hermes", pieces, OFFERED)


@pytest.mark.parametrize(
    ("answer", "text", "calls"),
    [
        (block("add", "{}"), "", [("add", "{}")]),
        (block("get_weather", WEATHER), "", [("get_weather", WEATHER)]),
        ("\n" + block("add", "{}") + "\n", "", [("add", "{}")]),
        ("I look. \n" + block("add", "{}") + "\n", "I look.", [("add", "{}")]),
        (block("add", "{}") + "\n\nDone.\n", "Done.\n", [("add", "{}")]),
        ("A\n" + block("add", "{}") + "\nB", "A\n\nB", [("add", "{}")]),
        (
            block("add", '{"a": 1}') + "\n" + block("get_weather", "{}"),
            "",
            [("add", '{"a": 1}'), ("get_weather", "{}")],
        ),
        ('<tool_call>{"name":"add","arguments":{"a":1}}</tool_call>', "", [("add", '{"a":1}')]),
        ('<tool_call>{"arguments": {"a":"é"}, "name": "add"}</tool_call>', "", [("add", '{"a": "é"}')]),
        (
            '<tool_call>{"arguments": {"a": "\\ud800é"}, "name": "add"}</tool_call>',
            "",
            [("add", '{"a": "\\ud800\\u00e9"}')],
        ),
        ('<tool_call>{"name": "add"}</tool_call>', "", [("add", "{}")]),
        ('<tool_call>{"name": "add", "arguments": null}</tool_call>', "", [("add", "{}")]),
        ('<tool_call>{"name": "\\u0061dd", "arguments": {}}</tool_call>', "", [("add", "{}")]),
    ],
)
def test_calls_are_parsed_out_of_the_text(answer: str, text: str, calls: list[tuple[str, str]]) -> None:
    assert parse([answer]) == (text, calls)
    assert parse(list(answer)) == (text, calls)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        " \n plain text \n ",
        "a < b, <tool, <tool_call",
        "</tool_call> alone",
        "the tag <tool_call> is written so",
        block("unknown", '{"a": 1}'),
        " " + block("unknown", "{}") + "\n ",
        '<tool_call>{"name": "add", "arguments": "text"}</tool_call>',
        '<tool_call>{"name": "add", "arguments": [1]}</tool_call>',
        '<tool_call>{"arguments": {"a": NaN}, "name": "add"}</tool_call>',
        '<tool_call>{"arguments": {"a": 1]}, "name": "add"}</tool_call>',
        '<tool_call>{"name": 3, "arguments": {}}</tool_call>',
        '<tool_call>{"name": "\\q", "arguments": {}}</tool_call>',
        '<tool_call>[{"name": "add", "arguments": {}}]</tool_call>',
        '<tool_call>{"name": "add", "arg</tool_call>',
        '<tool_call>{"name": "add\n", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "add", "argu',
        '<tool_call>{"arguments": {"a": ' + "[" * 5000 + "]" * 5000 + '}, "name": "add"}</tool_call>',
    ],
)
def test_text_that_is_no_call_stays_as_written(answer: str) -> None:
    assert parse([answer]) == (answer, [])
    assert parse(list(answer)) == (answer, [])


def test_a_call_after_a_rejected_mark_is_parsed() -> None:
    answer = "<tool_call>{oops <tool_call>" + block("add", "{}")
    assert parse([answer]) == ("<tool_call>{oops <tool_call>", [("add", "{}")])


@pytest.mark.parametrize(
    ("answer", "arguments", "text"),
    [
        ('{"a": "Par', '{"a": "Par', ""),
        ('{"a": 1}', '{"a": 1}', ""),
        ('{"a": 1}}\n</tool', '{"a": 1}', ""),
        ('{"a": 1}}}\n</tool_call>ok', '{"a": 1}', "ok"),
        ('{"a": 1\n</tool_call>ok', '{"a": 1\n', "ok"),
        ('{"a": 1 < 2}}</tool_call>', '{"a": 1 < 2}', ""),
        ('{"a": "no end}}\n</tool_call>ok', '{"a": "no end}}\n', "ok"),
        ('{"a": "</tool_c', '{"a": "</tool_c', ""),
        ('{"a": 1}, "b": 2}\n</tool_call>ok', '{"a": 1}', "ok"),
        ('{"a": 1}, b: 2}\n</tool_call>', '{"a": 1}', ", b: 2}\n</tool_call>"),
        ('{"a": 1}, "b', '{"a": 1}', ""),
    ],
)
def test_a_call_that_has_started_stands_however_it_ends(answer: str, arguments: str, text: str) -> None:
    answer = '<tool_call>{"name": "add", "arguments": ' + answer
    assert parse([answer]) == (text, [("add", arguments)])
    assert parse(list(answer)) == (text, [("add", arguments)])


def test_arguments_stream_as_they_are_written() -> None:
    reader = hermes.read(OFFERED, lambda: "call_1")
    assert reader.push('Hi <tool_call>{"name": "add", "arguments": ') == [Text("Hi")]
    assert reader.push('{"a": ') == [ToolCallStart(0, "call_1", "add"), ToolCallArguments(0, '{"a": ')]
    assert reader.push("12") == [ToolCallArguments(0, "12")]
    assert reader.push("}}\n</tool_call>") == [ToolCallArguments(0, "}")]
    assert reader.flush() == []


def test_text_is_pending_only_where_a_tag_could_start() -> None:
    reader = hermes.read(OFFERED, lambda: "call_1")
    assert reader.push("a <tool_") == [Text("a")]
    assert reader.push("box> b") == [Text(" <tool_box> b")]


fragments = st.sampled_from(
    [
        "<tool_call>",
        "</tool_call>",
        '{"name": "add", "arguments": ',
        '{"a": "x"}',
        '{"a": "}',
        "{",
        "}",
        "[",
        '"',
        "\\",
        "\n",
        " ",
        "<",
        "text",
        block("add", '{"a": {}}'),
        block("unknown", "{}"),
    ]
)
answers = st.lists(fragments, max_size=12).map("".join)
places = st.lists(st.integers(0, 400), max_size=20)


@given(answers, places)
@example('<tool_call>{"name": "add", "arguments": {"a": "\n</tool_</tool_call>', [51, 52])
def test_any_split_parses_the_same(answer: str, cuts: list[int]) -> None:
    assert parse(split(answer, cuts)) == parse([answer])
    assert parse(list(answer)) == parse([answer])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), values, max_size=3), st.booleans(), st.sampled_from([None, 2]))
def test_any_arguments_parse_back(arguments: dict[str, Any], ascii_only: bool, indent: int | None) -> None:
    call = {"name": "add", "arguments": arguments}
    written = json.dumps(call, ensure_ascii=ascii_only, indent=indent)
    text, calls = parse(list(f"so: <tool_call>\n{written}\n</tool_call>"))
    assert (text, calls[0][0], len(calls)) == ("so:", "add", 1)
    assert json.loads(calls[0][1]) == arguments
