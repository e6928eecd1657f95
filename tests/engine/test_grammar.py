"""Constrained answers: whatever the logits are, a complete answer parses and validates."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonschema
import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.contracts import Constraint, Grammar
from inference.engine import grammar
from inference.engine.grammar import GrammarError, Grammars
from inference.engine.grammar_compiler import compile_grammar
from inference.prompt.composed_grammar import JSON_OBJECT
from tests.engine.grammars import KINDS, grammars, schema, stops_of, tokenizer, walk, width
from tests.support.decoders import END, END_OF_TEXT, byte_tokenizer

INTEGER, TEXT = {"type": "integer", "minimum": 0, "maximum": 99}, {"type": "string", "maxLength": 12}
NODE = {
    "type": "object",
    "properties": {"value": INTEGER, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["value", "next"],
    "additionalProperties": False,
}


def closed(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object with all of these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


SCHEMAS: dict[str, dict[str, Any]] = {
    "anything": {},
    "object": {"type": "object"},
    "closed": closed(a=INTEGER, b=TEXT),
    "empty object": closed(),
    "optional": {"type": "object", "properties": {"a": TEXT, "b": INTEGER}, "additionalProperties": False},
    "open": {"type": "object", "properties": {"a": INTEGER}},
    "map": {"type": "object", "additionalProperties": INTEGER},
    "map of bounded size": {"type": "object", "additionalProperties": INTEGER, "maxProperties": 2},
    "at least one": {"type": "object", "additionalProperties": INTEGER, "minProperties": 1},
    "pattern properties": {
        "type": "object",
        "patternProperties": {"^x_[a-z]{1,3}$": INTEGER, "^y_[a-z]{1,3}$": TEXT},
        "additionalProperties": False,
    },
    "required but not described": {"type": "object", "required": ["é", "b"]},
    "nested": closed(a=closed(b=closed(c=closed(d=INTEGER)))),
    "strange names": closed(**{'"': INTEGER, "a b": INTEGER, "é": INTEGER, "\n": INTEGER, "": INTEGER}),
    "array": {"type": "array", "items": INTEGER},
    "array of bounded size": {"type": "array", "items": TEXT, "minItems": 2, "maxItems": 3},
    "tuple": {"type": "array", "prefixItems": [INTEGER, TEXT], "items": False, "minItems": 2},
    "tuple of an earlier draft": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "array",
        "items": [INTEGER, {"type": "null"}],
        "additionalItems": {"type": "boolean"},
    },
    "any items": {"type": "array", "maxItems": 2},
    "array of objects": {"type": "array", "items": closed(k=INTEGER), "maxItems": 3},
    "string": {"type": "string"},
    "lengths": {"type": "string", "minLength": 3, "maxLength": 5},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
    "pattern anywhere": {"type": "string", "pattern": "needle", "maxLength": 12},
    "pattern with quotes": {"type": "string", "pattern": '^"\\\\[a-c]"$'},
    **{
        f"format {name}": {"type": "string", "format": name, "maxLength": 60}
        for name in (
            "date-time",
            "time",
            "date",
            "duration",
            "email",
            "hostname",
            "ipv4",
            "ipv6",
            "uuid",
            "uri",
        )
    },
    "integer": {"type": "integer"},
    "integer range": {"type": "integer", "minimum": -5, "maximum": 12},
    "exclusive": {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 6},
    "number": {"type": "number", "minimum": -1.5, "maximum": 2.25},
    "multiple": {"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 1000},
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "several types": {"type": ["integer", "null", "boolean"]},
    "enum": {"enum": ["red", "gr\u00fcn", 'quo"ted', "line\nbreak", 1, 2.5, None, True, [1], {"a": 1}]},
    "const": {"const": {"b": [1, {"c": "d"}], "a": None}},
    "anyOf": {"anyOf": [INTEGER, closed(a=INTEGER), {"type": "array", "items": INTEGER, "maxItems": 2}]},
    "anyOf with properties": {"type": "object", "properties": {"a": INTEGER}, "anyOf": [{"required": ["a"]}]},
    "oneOf of types": {"oneOf": [{"type": "string", "maxLength": 4}, {"type": "null"}]},
    "oneOf with constants": {
        "oneOf": [closed(kind={"const": "cat"}, lives=INTEGER), closed(kind={"const": "dog"}, name=TEXT)]
    },
    "allOf": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]},
            {"properties": {"a": {"maximum": 5}, "b": TEXT}, "required": ["b"]},
        ]
    },
    "reference": {"$ref": "#/$defs/a", "$defs": {"a": closed(x=INTEGER)}},
    "definitions": closed(x={"$ref": "#/definitions/a"}) | {"definitions": {"a": TEXT}},
    "reference with siblings": {"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}, "maximum": 4},
    "recursive": {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
    "recursive through the root": {
        "type": "object",
        "properties": {"child": {"$ref": "#"}},
        "additionalProperties": False,
    },
    "annotated": {"type": "integer", "title": "t", "description": "d", "default": 1, "examples": [2], "x": 1},
    "asks for blanks": {**closed(a=INTEGER), "x-guidance": {"whitespace_flexible": True, "lenient": True}},
}


def parsed(text: str) -> Any:
    """Return the value of a JSON text; the last of equal names counts."""
    return json.loads(text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SCHEMAS)
def test_complete_answer_validates(name: str, kind: str) -> None:
    expected = SCHEMAS[name]
    grammars(kind).check(schema(expected))
    complete = 0
    for seed in range(4):
        text, done = walk(grammars(kind).matcher(schema(expected)), kind, seed, jump=bool(seed % 2))
        if done:
            complete += 1
            jsonschema.validate(parsed(text), expected)
    assert complete


JSON = st.recursive(
    st.sampled_from([INTEGER, TEXT, {"type": "boolean"}, {"type": "null"}, {"enum": ["a", 1, None]}]),
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items, "maxItems": 2}, inner),
        st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(
            lambda properties, required, more: {
                "type": "object",
                "properties": properties,
                "required": [name for name in properties if name in required],
                "additionalProperties": more,
            },
            st.dictionaries(st.sampled_from("abcdé"), inner, max_size=3),
            st.sets(st.sampled_from("abcdé")),
            st.booleans() | inner,
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(expected=JSON, seed=st.integers(0, 1000), kind=st.sampled_from(KINDS))
def test_answers_to_any_schema_validate(expected: dict[str, Any], seed: int, kind: str) -> None:
    text, done = walk(grammars(kind).matcher(schema(expected)), kind, seed)
    if done:
        jsonschema.validate(parsed(text), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_json_mode_writes_an_object_without_endless_blanks(kind: str) -> None:
    for seed in range(12):
        text, done = walk(grammars(kind).matcher(JSON_OBJECT), kind, seed, most=600)
        assert not re.search(r"[ \t]{33}|\n\s*\n|\r", text)
        if done:
            assert isinstance(parsed(text), dict)
            assert isinstance(orjson.loads(text), dict)


@pytest.mark.parametrize("kind", KINDS)
def test_regexes_and_lark_hold_from_the_first_byte(kind: str) -> None:
    for source in (" ?[a-c]{2,5} x", "(yes|no)", "\\d{3}-\\d{4}", "[é√]{1,3}\\n?"):
        for seed in range(4):
            text, done = walk(grammars(kind).matcher(Constraint(Grammar.REGEX, source)), kind, seed)
            assert done
            assert re.fullmatch(source, text), text
    sums = Constraint(Grammar.LARK, 'start: NUMBER (("+" | "-") NUMBER){0,3}\nNUMBER: /[1-9][0-9]{0,2}/')
    for seed in range(4):
        text, done = walk(grammars(kind).matcher(sums), kind, seed)
        assert done
        assert re.fullmatch(r"[1-9]\d{0,2}([+-][1-9]\d{0,2}){0,3}", text)


@pytest.mark.parametrize("kind", KINDS)
def test_forced_tokens_are_allowed_one_by_one_too(kind: str) -> None:
    matcher = grammars(kind).matcher(schema(closed(first_name={"const": "x"}, last_name={"const": "y"})))
    tokens = []
    while forced := matcher.forced():
        for token in forced:
            matcher.advance(token)
        tokens += forced
    assert is_terminated(matcher)
    assert tokenizer(kind).decode(tokens).strip() == '{"first_name": "x", "last_name": "y"}'
    again = grammars(kind).matcher(schema(closed(first_name={"const": "x"}, last_name={"const": "y"})))
    for token in tokens:
        logits = np.zeros(width(kind), np.float32)
        again.mask(logits)
        assert logits[token] == 0
        again.advance(token)


def test_every_stop_token_may_follow_where_the_grammar_is_complete_and_no_other_special_one() -> None:
    matcher = grammars("bytes").matcher(Constraint(Grammar.REGEX, "ab?"))
    assert allowed(matcher) == {ord("a")}
    with pytest.raises(GrammarError, match="not complete"):
        matcher.advance(END)
    matcher.advance(ord("a"))
    assert not is_terminated(matcher)
    assert allowed(matcher) == {ord("b"), *stops_of("bytes")}
    matcher.advance(END)
    assert is_terminated(matcher)
    assert allowed(matcher) == stops_of("bytes")
    with pytest.raises(GrammarError):
        matcher.advance(ord("b"))


def is_terminated(matcher: grammar.GrammarMatcher) -> bool:
    """Return the property by a call, so that mypy does not narrow it for later lines."""
    return matcher.is_terminated


def allowed(matcher: grammar.GrammarMatcher, kind: str = "bytes") -> set[int]:
    logits = np.zeros(width(kind), np.float32)
    matcher.mask(logits)
    return set(np.flatnonzero(np.isfinite(logits)).tolist())


def test_special_tokens_and_ids_beyond_the_tokenizer_are_never_text() -> None:
    matcher = grammars("bytes").matcher(Constraint(Grammar.REGEX, "(?s:.*)"))
    assert END_OF_TEXT not in allowed(matcher)
    assert not [token for token in allowed(matcher) if token >= 256 and token not in stops_of("bytes")]


def test_without_stop_tokens_the_answer_ends_where_nothing_can_follow() -> None:
    source = Constraint(Grammar.REGEX, "ab?")
    matcher = grammars("bytes", stops=False).matcher(source)
    matcher.advance(ord("a"))
    assert not is_terminated(matcher)
    assert allowed(matcher) == {ord("b")}
    matcher.advance(ord("b"))
    assert is_terminated(matcher)
    empty = grammars("bytes", stops=False).matcher(Constraint(Grammar.REGEX, "a{0}"))
    assert is_terminated(empty)


def test_stop_token_that_is_plain_text_to_the_tokenizer_is_never_text() -> None:
    limited = Grammars(byte_tokenizer().to_str(), vocabulary=259, stop_tokens=frozenset({ord("b"), 4000}))
    matcher = limited.matcher(Constraint(Grammar.REGEX, "a|b|ab"))
    logits = np.zeros(259, np.float32)
    matcher.mask(logits)
    assert np.flatnonzero(np.isfinite(logits)).tolist() == [ord("a")]
    matcher.advance(ord("a"))
    matcher.advance(ord("b"))
    assert is_terminated(matcher)


@pytest.mark.parametrize("token", [ord("b"), END_OF_TEXT, 270, -1, 10_000])
def test_token_that_cannot_follow_is_an_error(token: int) -> None:
    matcher = grammars("bytes").matcher(Constraint(Grammar.REGEX, "aa"))
    with pytest.raises(GrammarError, match=f"token {token} cannot follow"):
        matcher.advance(token)


def test_property_name_cannot_be_escaped_to_get_around_its_schema() -> None:
    matcher = grammars("bytes").matcher(schema({"type": "object", "properties": {"a": INTEGER}}))
    for token in b'{"a": 1, "':
        matcher.advance(token)
    matcher.advance(ord("\\"))
    with pytest.raises(GrammarError):
        matcher.advance(ord("u"))


@pytest.mark.parametrize(
    ("constraint", "sentence"),
    [
        (Constraint(Grammar.REGEX, "("), "its regex is not supported: unclosed group"),
        (
            Constraint(Grammar.REGEX, "a(?=b)"),
            "its regex is not supported: look-around, including look-ahead and",
        ),
        (Constraint(Grammar.REGEX, "[^\\s\\S]"), "no text can match it"),
        (Constraint(Grammar.LARK, 'start: "a'), "line 1, column 10: lexer error"),
        (Constraint(Grammar.LARK, "start: A\nA: B\n"), 'line 2, column 4: unknown name: "B"'),
        (Constraint(Grammar.LARK, "start: start"), "no text can match it"),
        (Constraint(Grammar.LARK, 'begin: "a"'), "no start rule found"),
        (Constraint(Grammar.JSON_SCHEMA, "{"), "EOF while parsing an object at line 1 column 1"),
        (schema({"type": "strng"}), "Invalid type: strng"),
        (schema({"type": "integer", "minimum": 3, "maximum": 2}), "Unsatisfiable schema: minimum"),
        (schema({"oneOf": [{"type": "integer"}, {"type": "number"}]}), "oneOf is supported only where"),
        (schema({"$ref": "https://example.com/x"}), "Resource 'https://example.com/x' is not present"),
    ],
)
def test_source_that_is_no_grammar_is_refused_in_one_line(constraint: Constraint, sentence: str) -> None:
    with pytest.raises(GrammarError) as refused:
        grammars("bytes").check(constraint)
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)
    assert grammars("bytes").refusal(constraint) == str(refused.value)


def test_grammar_is_compiled_once_while_it_is_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Constraint] = []

    def counted(constraint: Constraint, vocabulary: Any) -> Any:
        compiled.append(constraint)
        return compile_grammar(constraint, vocabulary)

    monkeypatch.setattr("inference.engine.grammar.compile_grammar", counted)
    limited = Grammars(byte_tokenizer().to_str(), vocabulary=259, stop_tokens=frozenset({END}))
    first = Constraint(Grammar.REGEX, "first")
    limited.check(first)
    limited.matcher(first)
    assert compiled == [first]
    for number in range(grammar.MAX_CACHED_GRAMMARS):
        limited.check(Constraint(Grammar.REGEX, f"x{number}"))
    limited.matcher(first)
    assert compiled.count(first) == 2


def test_grammar_is_compiled_again_after_many_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "RECOMPILE_AFTER", 3)
    limited = Grammars(byte_tokenizer().to_str(), vocabulary=259, stop_tokens=frozenset({END}))
    source = Constraint(Grammar.REGEX, "a*")
    matchers = [limited.matcher(source)]
    for _ in range(3):
        matchers[0].advance(ord("a"))
    matchers.append(limited.matcher(source))
    assert matchers[0]._compiled is not matchers[1]._compiled


def test_answers_of_one_grammar_are_independent() -> None:
    source = Constraint(Grammar.REGEX, "a[bc]d")
    first, second = grammars("bytes").matcher(source), grammars("bytes").matcher(source)
    first.advance(ord("a"))
    assert allowed(second) == {ord("a")}
    second.advance(ord("a"))
    second.advance(ord("b"))
    assert allowed(first) == {ord("b"), ord("c")}
    assert second.forced() == [ord("d")]


def test_grammars_may_be_used_from_several_threads() -> None:
    limited = Grammars(byte_tokenizer().to_str(), vocabulary=259, stop_tokens=frozenset({END}))
    sources = [Constraint(Grammar.REGEX, f"a{{{number % 5 + 1}}}") for number in range(40)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda source: limited.matcher(source).forced(), sources))
    assert [len(forced) for forced in found] == [number % 5 + 1 for number in range(40)]


def test_tokenizer_whose_token_bytes_are_unknown_is_refused() -> None:
    limited = Grammars('{"model": {"vocab": {}}}', vocabulary=3, stop_tokens=frozenset())
    with pytest.raises(GrammarError, match="this model's tokenizer cannot follow grammars"):
        limited.prepare()


def test_a_text_can_start_an_answer_where_its_grammar_has_it() -> None:
    made = grammars("bytes")
    wanted = schema({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]})
    assert made.accepts(wanted, '{"name": "A')
    assert made.accepts(wanted, "")
    assert not made.accepts(wanted, '{"age": ')


def test_results_are_remembered_by_their_key_and_the_oldest_are_forgotten() -> None:
    made = Grammars(tokenizer("bytes").to_str(), vocabulary=width("bytes"), stop_tokens=frozenset())
    results = [made.remembered(b"0", lambda: "first"), made.remembered(b"0", lambda: "second")]
    for number in range(1, 33):
        made.remembered(str(number).encode(), lambda: "other")
    assert [*results, made.remembered(b"0", lambda: "third")] == ["first", "first", "third"]
