"""From a request to what its answer is held to, and every refusal at its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest
from inference.api.validation import validate
from inference.contracts import Constraint, Grammar
from inference.errors import ParameterNotSupported
from inference.prompt.output_format import JSON_OBJECT, MOST_CHARACTERS, constrains, constraint_of
from tests.engine.grammars import grammars, walk

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
PLACE = ("body", "response_format", "json_schema", "schema")


def chat(**parameters: Any) -> ChatRequest:
    return validate(ChatRequest, {"messages": [USER], **parameters})


def json_schema(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "it", "schema": schema, **more}}


def refusal(request: Any) -> ParameterNotSupported:
    with pytest.raises(ParameterNotSupported) as refused:
        constraint_of(request, grammars("bytes"))
    return refused.value


@pytest.mark.parametrize("asked", [None, "text", {"type": "text"}])
def test_text_is_free(asked: Any) -> None:
    request = chat(response_format=asked) if asked else chat()
    assert constraint_of(request, None) is None
    assert not constrains(request)


@pytest.mark.parametrize("asked", ["json_object", {"type": "json_object"}])
def test_json_mode_is_any_object(asked: Any) -> None:
    request = chat(response_format=asked)
    assert constrains(request)
    assert constraint_of(request, grammars("bytes")) == JSON_OBJECT


@pytest.mark.parametrize("strict", [{}, {"strict": True}, {"strict": False}])
def test_a_schema_is_held_to_strict_or_not_in_its_own_order(strict: dict[str, bool]) -> None:
    schema = {"type": "object", "properties": {"z": {"const": "é"}, "a": {"type": "null"}}, "required": ["z"]}
    found = constraint_of(chat(response_format=json_schema(schema, **strict)), grammars("bytes"))
    assert found == Constraint(Grammar.JSON_SCHEMA, json.dumps(schema, ensure_ascii=False))


@pytest.mark.parametrize("strict", [{}, {"strict": True}, {"strict": False}])
def test_an_unsupported_keyword_is_refused_at_its_place_strict_or_not(strict: dict[str, bool]) -> None:
    schema = {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": True}}}
    error = refusal(chat(response_format=json_schema(schema, **strict)))
    assert error.status == 422
    [offender] = error.offenders
    assert offender.loc == (*PLACE, "properties", "tags", "uniqueItems")
    assert offender.input is True
    assert offender.message.startswith("uniqueItems is not supported")


def test_what_only_the_library_finds_is_refused_at_its_place_too() -> None:
    schema = {"type": "object", "properties": {"code": {"type": "string", "pattern": r"a\b"}}}
    [offender] = refusal(chat(response_format=json_schema(schema))).offenders
    assert offender.loc == (*PLACE, "properties", "code", "pattern")
    assert offender.input == r"a\b"
    assert "lookarounds not supported" in offender.message


@pytest.mark.parametrize(
    "schema", [{"type": "array", "items": {"type": "integer"}}, {"enum": ["a", "b"]}, {}]
)
def test_an_answer_need_not_be_an_object(schema: dict[str, Any]) -> None:
    assert constraint_of(chat(response_format=json_schema(schema)), grammars("bytes")) is not None


def test_extras_on_both_routes() -> None:
    for make in (chat, lambda **given: validate(CompletionRequest, {"prompt": "a", **given})):
        regex = constraint_of(make(guided_regex="a+"), grammars("bytes"))
        assert regex == Constraint(Grammar.REGEX, "a+")
        lark = constraint_of(make(guided_grammar='start: "a"'), grammars("bytes"))
        assert lark == Constraint(Grammar.LARK, 'start: "a"')
        choice = constraint_of(make(guided_choice=["yes", "no"]), grammars("bytes"))
        assert choice is not None
        assert choice.grammar is Grammar.LARK


@pytest.mark.parametrize("kind", ["bytes", "sentencepiece", "starter"])
def test_an_answer_is_one_of_the_choices_letter_for_letter(kind: str) -> None:
    choices = ["yes", "yes, please", ' "quoted"\n', "back\\slash", "é/√", "\x01", "{1}", "|"]
    asked = constraint_of(chat(guided_choice=choices), grammars(kind))
    assert asked is not None
    found = {walk(grammars(kind).matcher(asked), kind, seed) for seed in range(60)}
    assert {done for _, done in found} == {True}
    assert {text for text, _ in found} <= set(choices)
    assert len(found) > 4
    for choice in choices:
        matcher = grammars("bytes").matcher(asked)
        for token in choice.encode():
            matcher.advance(token)
        matcher.advance(258)


@pytest.mark.parametrize(
    ("given", "value", "sentence"),
    [
        ({"guided_regex": "("}, "(", "its regex is not supported: unclosed group"),
        ({"guided_regex": "a{20000}"}, "a{20000}", "a regex asks for 20000 repetitions"),
        (
            {"guided_regex": "a" * (MOST_CHARACTERS + 1)},
            MOST_CHARACTERS + 1,
            "guided_regex has 10001 characters",
        ),
        ({"guided_grammar": "x"}, "x", "line 1, column"),
        ({"guided_grammar": " " * 10_001}, 10_001, "guided_grammar has 10001 characters, at most 10000 are"),
    ],
)
def test_what_is_no_grammar_is_refused_at_its_parameter(
    given: dict[str, str], value: Any, sentence: str
) -> None:
    [offender] = refusal(chat(**given)).offenders
    assert offender.loc == ("body", *given)
    assert offender.input == value
    assert offender.message.startswith(sentence)


CONTRADICTIONS: list[dict[str, Any]] = [
    {"guided_regex": "a", "guided_choice": ["a"]},
    {"guided_choice": ["a"], "guided_grammar": 'start: "a"'},
    {"response_format": "json_object", "guided_regex": "a"},
    {"response_format": json_schema({}), "guided_regex": "a", "guided_grammar": "x"},
    {"response_format": "json_object", "tools": [TOOL]},
    {"response_format": json_schema({}), "tools": [TOOL], "tool_choice": "auto"},
    {"guided_regex": "a", "tools": [TOOL], "tool_choice": "required"},
]


@pytest.mark.parametrize("given", CONTRADICTIONS)
def test_two_wishes_for_the_whole_answer_are_refused_naming_both(given: dict[str, Any]) -> None:
    error = refusal(chat(**given))
    names = [name for name in given if name != "tool_choice"]
    assert sorted(str(offender.loc[1]) for offender in error.offenders) == sorted(names)
    assert all(name in offender.message for offender in error.offenders for name in names)


def test_tools_that_may_not_be_called_are_in_nobodys_way() -> None:
    request = chat(response_format="json_object", tools=[TOOL], tool_choice="none")
    assert constraint_of(request, grammars("bytes")) == JSON_OBJECT


def test_text_may_be_asked_for_beside_a_regex() -> None:
    request = chat(response_format="text", guided_regex="a")
    assert constraint_of(request, grammars("bytes")) == Constraint(Grammar.REGEX, "a")
