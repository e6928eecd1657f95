"""Answers from each family's chat template and documentation, parsed whole and in pieces."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.tool_formats import TOOL_FORMATS, ParsedCall
from tests.tool_formats.parsing import parse, split

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*/*.json"))
MARKS = {
    "hermes": ["<tool_call>", "\n</tool_call>"],
    "llama3": ["<|python_tag|>", "; ", ","],
    "mistral": ["[TOOL_CALLS]", "[ARGS]", "[", "]", "get_weather", ", "],
    "phi": ["<|tool_call|>", "<|/tool_call|>", "functools[", "[", "]", ", "],
}
JSON = [
    '{"name": "plan", "arguments": ',
    '{"name": "plan", "parameters": {"a": "x',
    '{"name": "plan", "arguments": {"b": [1]}}',
    '{"arguments": {}, "name": "plan"}',
    '{"name": "unknown", "arguments": {}}',
    '"id": "x"',
    '{"a": "}',
    *'{}"\\\n <',
    "text",
]


def name_of(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


def test_every_tool_format_has_transcripts() -> None:
    assert {path.parent.name for path in TRANSCRIPTS} == set(TOOL_FORMATS) == set(MARKS)


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=name_of)
def test_a_transcript_parses_the_same_whole_and_in_pieces(path: Path) -> None:
    recorded = json.loads(path.read_text(encoding="utf-8"))
    answer, tool_format = recorded["answer"], path.parent.name
    expected = recorded["text"], [tuple(call) for call in recorded["calls"]]
    assert parse(tool_format, [answer]) == expected
    assert parse(tool_format, list(answer)) == expected
    for place in range(len(answer)):
        assert parse(tool_format, [answer[:place], answer[place:]]) == expected


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=name_of)
def test_the_calls_of_an_answer_cut_short_are_a_prefix_of_the_whole_ones(path: Path) -> None:
    """Events cannot be taken back: a longer answer starts with the calls of a shorter one."""
    recorded = json.loads(path.read_text(encoding="utf-8"))
    for end in range(len(recorded["answer"])):
        _, calls = parse(path.parent.name, [recorded["answer"][:end]])
        for (name, arguments), (whole_name, whole) in zip(calls, recorded["calls"], strict=False):
            assert name == whole_name
            assert whole.startswith(arguments)


@pytest.mark.parametrize("tool_format", sorted(TOOL_FORMATS))
@given(st.data())
def test_any_split_parses_the_same(tool_format: str, data: st.DataObject) -> None:
    fragments = st.sampled_from([*MARKS[tool_format], *JSON])
    answer = data.draw(st.lists(fragments, max_size=12).map("".join))
    places = data.draw(st.lists(st.integers(0, 400), max_size=20))
    assert parse(tool_format, split(answer, places)) == parse(tool_format, [answer])
    assert parse(tool_format, list(answer)) == parse(tool_format, [answer])


@pytest.mark.parametrize("tool_format", sorted(TOOL_FORMATS))
@given(st.data())
def test_calls_of_tools_that_are_not_offered_stay_text(tool_format: str, data: st.DataObject) -> None:
    fragments = st.sampled_from([*MARKS[tool_format], *JSON])
    answer = data.draw(st.lists(fragments, max_size=12).map("".join))
    assert parse(tool_format, split(answer, [3, 9]), offered=["nothing"]) == (answer, [])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), values, max_size=3)


@pytest.mark.parametrize("tool_format", sorted(TOOL_FORMATS))
@given(st.lists(st.tuples(st.sampled_from(["plan", "send_mail"]), objects), min_size=1, max_size=3))
def test_written_calls_parse_back(tool_format: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    written = TOOL_FORMATS[tool_format].write([ParsedCall(name, arguments) for name, arguments in calls])
    text, parsed = parse(tool_format, list(written))
    assert text == ""
    assert [(name, json.loads(arguments)) for name, arguments in parsed] == calls


def test_long_json_without_a_mark_streams_as_text() -> None:
    reader = TOOL_FORMATS["llama3"].read(["plan"], lambda: "call_1")
    assert reader.push('\n{ "rows": [1') != []
    assert reader.push(", 2") != []


def test_call_ids_have_the_form_of_their_family() -> None:
    mistral = TOOL_FORMATS["mistral"]
    assert len(mistral.new_id()) == 9
    assert mistral.new_id().isalnum()
    assert mistral.template_id("VvvODy9mT") == "VvvODy9mT"
    assert mistral.template_id("call_1") == mistral.template_id("call_1") != mistral.template_id("call_2")
    assert len(mistral.template_id("call_1")) == 9
    assert mistral.template_id("call_1").isalnum()
    hermes = TOOL_FORMATS["hermes"]
    assert hermes.template_id("call_1") == "call_1"
    assert hermes.new_id() != hermes.new_id()
    assert hermes.new_id().startswith("call_")
    assert len(hermes.new_id()) == 29
