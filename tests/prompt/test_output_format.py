"""The constraint of each output format, alone and after reasoning, and each refusal at its location."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest
from inference.api.validation import validate
from inference.cards.card import ReasoningTags
from inference.contracts import Constraint, Grammar
from inference.engine.grammar import Grammars
from inference.errors import ParameterNotSupported
from inference.prompt.composed_grammar import JSON_OBJECT, after_reasoning, open_reasoning
from inference.prompt.output_format import (
    MAX_CHARACTERS,
    OutputRules,
    format_rules,
    output_rules,
)
from inference.prompt.tokenizer import Tokenizer
from tests.engine.grammars import grammars, walk
from tests.support.cards import CHAT, deployment
from tests.support.decoders import END
from tests.tool_formats import walking

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
SCHEMA_LOC = ("body", "response_format", "json_schema", "schema")


def chat(**parameters: Any) -> ChatRequest:
    return validate(ChatRequest, {"messages": [USER], **parameters})


def json_schema(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "it", "schema": schema, **more}}


def format_constraint(request: Any, checker: Grammars | None) -> Constraint | None:
    rules = format_rules(request, checker)
    return None if rules is None else rules.constraint


def refusal(request: Any) -> ParameterNotSupported:
    with pytest.raises(ParameterNotSupported) as refused:
        format_constraint(request, grammars("bytes"))
    return refused.value


@pytest.mark.parametrize("response_format", [None, "text", {"type": "text"}])
def test_the_format_text_constrains_nothing(response_format: Any) -> None:
    request = chat(response_format=response_format) if response_format else chat()
    assert format_constraint(request, None) is None
    assert not request.constrained


@pytest.mark.parametrize("response_format", ["json_object", {"type": "json_object"}])
def test_json_mode_allows_any_object(response_format: Any) -> None:
    request = chat(response_format=response_format)
    assert request.constrained
    assert format_constraint(request, grammars("bytes")) == JSON_OBJECT


@pytest.mark.parametrize("strict", [{}, {"strict": True}, {"strict": False}])
def test_a_schema_is_enforced_strict_or_not_with_its_property_order(strict: dict[str, bool]) -> None:
    schema = {"type": "object", "properties": {"z": {"const": "é"}, "a": {"type": "null"}}, "required": ["z"]}
    found = format_constraint(chat(response_format=json_schema(schema, **strict)), grammars("bytes"))
    assert found == Constraint(Grammar.JSON_SCHEMA, json.dumps(schema, ensure_ascii=False))


def test_a_strict_schema_with_an_unsupported_keyword_is_refused_at_its_location() -> None:
    schema = {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": True}}}
    error = refusal(chat(response_format=json_schema(schema, strict=True)))
    assert error.status == 422
    [offender] = error.offenders
    assert offender.loc == (*SCHEMA_LOC, "properties", "tags", "uniqueItems")
    assert offender.input is True
    assert offender.message.startswith("uniqueItems is not supported")


@pytest.mark.parametrize("strict", [{}, {"strict": False}])
@pytest.mark.parametrize(
    ("keyword", "value"), [("uniqueItems", True), ("pattern", r"a\b"), ("oneOf", [{"type": "string"}, {}])]
)
def test_a_keyword_that_cannot_be_held_is_left_out_and_named_unless_strict(
    strict: dict[str, bool], keyword: str, value: Any
) -> None:
    schema = {"type": "object", "properties": {"a": {"maxLength": 3, keyword: value}}}
    rules = format_rules(chat(response_format=json_schema(schema, **strict)), grammars("bytes"))
    assert rules is not None
    assert rules.unheld == (f"response_format.json_schema.schema.properties.a.{keyword}",)
    assert keyword not in rules.constraint.source
    assert '"maxLength": 3' in rules.constraint.source


def test_a_problem_that_only_the_library_finds_is_refused_at_its_location() -> None:
    schema = {"type": "object", "properties": {"code": {"type": "string", "pattern": r"a\b"}}}
    [offender] = refusal(chat(response_format=json_schema(schema, strict=True))).offenders
    assert offender.loc == (*SCHEMA_LOC, "properties", "code", "pattern")
    assert offender.input == r"a\b"
    assert offender.message.startswith("pattern is no regular expression that can be enforced: look-around")


@pytest.mark.parametrize(
    "schema", [{"type": "array", "items": {"type": "integer"}}, {"enum": ["a", "b"]}, {}]
)
def test_a_schema_need_not_be_of_an_object(schema: dict[str, Any]) -> None:
    assert format_constraint(chat(response_format=json_schema(schema)), grammars("bytes")) is not None


def test_guided_parameters_constrain_both_routes() -> None:
    for make in (chat, lambda **body: validate(CompletionRequest, {"prompt": "a", **body})):
        regex = format_constraint(make(guided_regex="a+"), grammars("bytes"))
        assert regex == Constraint(Grammar.REGEX, "a+")
        lark = format_constraint(make(guided_grammar='start: "a"'), grammars("bytes"))
        assert lark == Constraint(Grammar.LARK, 'start: "a"')
        choice = format_constraint(make(guided_choice=["yes", "no"]), grammars("bytes"))
        assert choice is not None
        assert choice.grammar is Grammar.LARK


@pytest.mark.parametrize("kind", ["bytes", "sentencepiece", "starter"])
def test_a_guided_choice_is_written_exactly(kind: str) -> None:
    choices = ["yes", "yes, please", ' "quoted"\n', "back\\slash", "é/√", "\x01", "{1}", "|"]
    constraint = format_constraint(chat(guided_choice=choices), grammars(kind))
    assert constraint is not None
    found = {walk(grammars(kind).matcher(constraint), kind, seed) for seed in range(60)}
    assert {done for _, done in found} == {True}
    assert {text for text, _ in found} <= set(choices)
    assert len(found) > 4
    for choice in choices:
        matcher = grammars("bytes").matcher(constraint)
        for token in choice.encode():
            matcher.advance(token)
        matcher.advance(258)


@pytest.mark.parametrize(
    ("body", "value", "message"),
    [
        ({"guided_regex": "("}, "(", "its regex is not supported: unclosed group"),
        ({"guided_regex": "a{20000}"}, "a{20000}", "a regex asks for 20000 repetitions"),
        (
            {"guided_regex": "a" * (MAX_CHARACTERS + 1)},
            MAX_CHARACTERS + 1,
            "guided_regex has 10001 characters",
        ),
        ({"guided_grammar": "x"}, "x", "line 1, column"),
        ({"guided_grammar": " " * 10_001}, 10_001, "guided_grammar has 10001 characters, at most 10000 are"),
    ],
)
def test_an_invalid_or_too_long_grammar_is_refused_at_its_parameter(
    body: dict[str, str], value: Any, message: str
) -> None:
    [offender] = refusal(chat(**body)).offenders
    assert offender.loc == ("body", *body)
    assert offender.input == value
    assert offender.message.startswith(message)


CONTRADICTIONS: list[dict[str, Any]] = [
    {"guided_regex": "a", "guided_choice": ["a"]},
    {"guided_choice": ["a"], "guided_grammar": 'start: "a"'},
    {"response_format": "json_object", "guided_regex": "a"},
    {"response_format": json_schema({}), "guided_regex": "a", "guided_grammar": "x"},
    {"guided_choice": ["a"], "tools": [TOOL]},
    {"guided_regex": "a", "tools": [TOOL], "tool_choice": "required"},
]


@pytest.mark.parametrize("body", CONTRADICTIONS)
def test_formats_that_contradict_each_other_are_refused_by_name(body: dict[str, Any]) -> None:
    error = refusal(chat(**body))
    names = [name for name in body if name != "tool_choice"]
    assert sorted(str(offender.loc[1]) for offender in error.offenders) == sorted(names)
    assert all(name in offender.message for offender in error.offenders for name in names)


def test_tools_that_may_not_be_called_contradict_no_format() -> None:
    request = chat(response_format="json_object", tools=[TOOL], tool_choice="none")
    assert format_constraint(request, grammars("bytes")) == JSON_OBJECT


def test_the_format_text_contradicts_no_regex() -> None:
    request = chat(response_format="text", guided_regex="a")
    assert format_constraint(request, grammars("bytes")) == Constraint(Grammar.REGEX, "a")


TAGS = ReasoningTags.model_validate({})
WITHOUT = (*walking.PLAIN,)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Hi<think>", "<think>"),
        ("<think>", "<think>"),
        ("<think>a</think> Hi <think>\n", "<think>\n"),
        ("<think>\n\n</think>\n\n", ""),
        ("Hi", ""),
        ("", ""),
        ("<think> Hi", ""),
    ],
)
@pytest.mark.parametrize("without", [(), WITHOUT])
def test_a_prompt_that_ends_with_the_opening_tag_opens_reasoning(
    tmp_path: Path, prompt: str, expected: str, without: tuple[str, ...]
) -> None:
    walking.tokenizer(*without).save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.open(tmp_path / "tokenizer.json")
    assert open_reasoning(tokenizer.encode(prompt, special=False), TAGS, tokenizer) == expected


CONSTRAINTS = [
    Constraint(Grammar.JSON_SCHEMA, json.dumps({"type": "object", "additionalProperties": False})),
    Constraint(Grammar.REGEX, r"\{\}|a/b|a\/b"),
    Constraint(Grammar.LARK, 'start: "{}" | word\nword: "word"'),
]


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda constraint: constraint.grammar)
@pytest.mark.parametrize("without", [(), WITHOUT])
def test_reasoning_is_free_and_the_answer_after_it_is_constrained(
    constraint: Constraint, without: tuple[str, ...]
) -> None:
    vocabulary = walking.tokenizer(*without)
    free = after_reasoning(constraint, TAGS, "", vocabulary.token_to_id)
    inside = after_reasoning(constraint, TAGS, "<think>\n", vocabulary.token_to_id)
    reasoned = "So < /think> {1}\n\n hm"
    for lark, answer, fits in [
        (free.source, "{}", True),
        (free.source, f"<think>{reasoned}</think>\n\n{{}}", True),
        (free.source, f"{reasoned}</think>\n\n{{}}", False),
        (inside.source, f"{reasoned}</think>\n\n{{}}", True),
        (inside.source, f"{reasoned}</think>{{}}", True),
        (inside.source, f"{reasoned}</think>no", False),
        (inside.source, "{}", False),
    ]:
        assert walking.fits(lark, vocabulary, answer) is fits, answer


OBJECT_SCHEMA = {
    "properties": {"a": {"type": "boolean"}},
    "required": ["a"],
    "additionalProperties": False,
}


def test_a_json_object_is_held_to_the_schema_beside_its_type() -> None:
    wanted = {"type": "json_object", "schema": OBJECT_SCHEMA}
    constraint = format_constraint(chat(response_format=wanted), grammars("bytes"))
    assert constraint is not None
    assert constraint == Constraint(Grammar.JSON_SCHEMA, json.dumps({"type": "object", **OBJECT_SCHEMA}))
    for seed in range(5):
        text, complete = walk(grammars("bytes").matcher(constraint), "bytes", seed)
        assert complete
        assert isinstance(json.loads(text)["a"], bool)


@pytest.mark.parametrize("schema", [None, {}])
def test_a_json_object_with_an_empty_schema_may_be_any(schema: Any) -> None:
    request = chat(response_format={"type": "json_object", "schema": schema})
    assert format_constraint(request, grammars("bytes")) == JSON_OBJECT


def test_a_json_object_s_schema_is_held_as_far_as_it_can_be_and_the_rest_has_its_place() -> None:
    schema = {"type": "object", "properties": {"a": {"not": {"type": "string"}}}}
    rules = format_rules(chat(response_format={"type": "json_object", "schema": schema}), grammars("bytes"))
    assert rules is not None
    assert rules.unheld == ("response_format.schema.properties.a.not",)


FORM = json_schema(
    {"type": "object", "properties": {"answer": {"type": "string", "maxLength": 5}}, "required": ["answer"]}
)
PARAMETERS = {"tools": {"dialect": "hermes"}, "tool_choice": {}, "response_format": {}}


def rules_of(
    tmp_path: Path, dialect: str = "hermes", *, prompt: str = "Hi", reasoning: bool = False, **body: Any
) -> OutputRules | None:
    walking.tokenizer().save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.open(tmp_path / "tokenizer.json")
    checker = Grammars(tokenizer.json, vocabulary=tokenizer.vocabulary_size, stop_tokens=frozenset({END}))
    tools = {"dialect": dialect}
    parameters = {**PARAMETERS, "tools": tools}
    more: dict[str, Any] = {"reasoning": {}} if reasoning else {}
    card = deployment(tmp_path, CHAT, parameters=parameters, **more).card
    tokens = tokenizer.encode(prompt, special=False)
    return output_rules(chat(tools=[TOOL], **body), card, tokens, tokenizer, checker)


def test_tools_beside_a_form_are_alternatives_after_free_reasoning(tmp_path: Path) -> None:
    call = '<tool_call>\n{"name": "look_up", "arguments": {}}\n</tool_call>'
    for number, (prompt, reasoned) in enumerate([("Hi", False), ("Hi", True), ("Hi<think>", True)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        rules = rules_of(folder, prompt=prompt, reasoning=True, response_format=FORM)
        assert rules is not None
        assert (rules.heads, rules.unheld) == (("<tool_call>",), ())
        before = "" if not reasoned else "hm</think>\n\n" if "<think>" in prompt else "<think>hm</think>"
        for answer, fits in [
            (call, True),
            (f"{call}\n{call}", True),
            ('{"answer": "yes"}', True),
            (f'{call}{{"answer": "yes"}}', False),
            ("yes", False),
        ]:
            assert walking.fits(rules.constraint.source, walking.tokenizer(), before + answer) is fits, answer


def test_a_single_call_stands_beside_a_form_where_calls_are_not_parallel(tmp_path: Path) -> None:
    call = '<tool_call>\n{"name": "look_up", "arguments": {}}\n</tool_call>'
    rules = rules_of(tmp_path, response_format=FORM, parallel_tool_calls=False)
    assert rules is not None
    assert walking.fits(rules.constraint.source, walking.tokenizer(), call)
    assert not walking.fits(rules.constraint.source, walking.tokenizer(), f"{call}\n{call}")


@pytest.mark.parametrize(
    ("response_format", "heads"),
    [
        (FORM, ('{"name": "look_up", "parameters": ',)),
        (
            json_schema(
                {"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": False}
            ),
            ('{"name": "look_up", "parameters": ',),
        ),
        ({"type": "json_object"}, ('{"name": "look_up", "parameters": ',)),
        (json_schema({"type": "object"}), ("<|python_tag|>",)),
        (json_schema({}), ("<|python_tag|>",)),
    ],
)
def test_calls_without_a_mark_have_one_where_the_form_could_be_written_as_they_are(
    tmp_path: Path, response_format: Any, heads: tuple[str, ...]
) -> None:
    rules = rules_of(tmp_path, "llama3", response_format=response_format)
    assert rules is not None
    assert rules.heads == heads
    mark = heads[0] if heads[0].startswith("<") else ""
    call = f'{mark}{{"name": "look_up", "parameters": {{}}}}'
    assert walking.fits(rules.constraint.source, walking.tokenizer(), call)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "look_up"}}])
def test_a_call_that_must_come_leaves_a_form_aside_even_one_that_could_not_be_held(
    tmp_path: Path, choice: Any
) -> None:
    odd = json_schema({"not": {}}, strict=True)
    rules = rules_of(tmp_path, response_format=odd, tool_choice=choice)
    assert rules is not None
    assert (rules.heads, rules.unheld) == ((), ())
    assert not walking.fits(rules.constraint.source, walking.tokenizer(), "{}")


def test_the_rules_of_a_kind_of_request_are_made_once(tmp_path: Path) -> None:
    made: list[str] = []

    class Remembering(Grammars):
        def check(self, constraint: Constraint) -> None:
            made.append(constraint.source)
            super().check(constraint)

    tokenizer = Tokenizer(walking.tokenizer())
    checker = Remembering(tokenizer.json, vocabulary=tokenizer.vocabulary_size, stop_tokens=frozenset({END}))
    card = deployment(tmp_path, CHAT, parameters=PARAMETERS).card

    def rules(**body: Any) -> OutputRules | None:
        return output_rules(chat(tools=[TOOL], response_format=FORM, **body), card, [1], tokenizer, checker)

    first = rules()
    compiled = len(made)
    assert rules(temperature=0.5) is first
    assert len(made) == compiled
    assert rules(parallel_tool_calls=False) != first
    assert rules(tool_choice="none") != first


def test_tools_too_large_to_be_held_together_are_held_to_objects(tmp_path: Path) -> None:
    def large(name: str, *, strict: bool) -> dict[str, Any]:
        properties = {f"{name}_{number}": {"enum": ["x" * 60]} for number in range(700)}
        parameters = {"type": "object", "properties": properties}
        function = {"name": name, "parameters": parameters, "strict": strict}
        return {"type": "function", "function": function}

    tokenizer = Tokenizer(walking.tokenizer())
    checker = Grammars(tokenizer.json, vocabulary=tokenizer.vocabulary_size, stop_tokens=frozenset({END}))

    card = deployment(tmp_path, CHAT, parameters=PARAMETERS).card

    def rules(*, strict: bool) -> OutputRules | None:
        tools = [large("a", strict=strict), large("b", strict=strict)]
        request = chat(tools=tools, tool_choice="required")
        return output_rules(request, card, [1], tokenizer, checker)

    held = rules(strict=False)
    assert held is not None
    assert held.unheld == ("tools[0].function.parameters", "tools[1].function.parameters")
    with pytest.raises(ParameterNotSupported) as refused:
        rules(strict=True)
    assert refused.value.offenders[0].loc == ("body", "tool_choice")
