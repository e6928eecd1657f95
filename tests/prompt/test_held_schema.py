"""Schemas judged by what they ask: every answer of what is held validates against what was sent."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.contracts import Constraint, Grammar
from inference.prompt.held_schema import MESSAGES, HeldSchema, SchemaRefused, hold, hold_compiled
from inference.prompt.json_schema import SUPPORTED, UNSUPPORTED
from tests.engine.grammars import grammars, schema, walk

INTEGER = {"type": "integer"}
A: dict[str, Any] = {
    "type": "object",
    "properties": {"kind": {"const": "a", "default": "a", "title": "Kind"}, "x": INTEGER},
    "required": ["x"],
}
B = {**A, "properties": {"kind": {"const": "b", "default": "b"}, "x": INTEGER}}
C = {"type": "object", "properties": {"z": {"type": "string"}}, "required": ["z"]}
NODE = {
    "type": "object",
    "properties": {
        "kind": {"const": "node"},
        "left": {"oneOf": [{"$ref": "#/$defs/Node", "description": "deeper"}, {"$ref": "#/$defs/Leaf"}]},
    },
    "required": ["left"],
}
LEAF = {"type": "object", "properties": {"kind": {"const": "leaf"}, "v": INTEGER}, "required": ["v"]}
TAGGED = {"oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}], "discriminator": {"propertyName": "kind"}}
BOTH = {"A": A, "B": B}
LETTERS = [*"abcdefgh"]


def compiled(whole: dict[str, Any], *, strict: bool = True) -> HeldSchema:
    def refusal(part: dict[str, Any]) -> str | None:
        return grammars("bytes").refusal(schema(part))

    return hold_compiled(whole, refusal, strict=strict)


def answers(held: HeldSchema, count: int = 16) -> list[Any]:
    constraint = Constraint(Grammar.JSON_SCHEMA, json.dumps(held.schema))
    found = [walk(grammars("bytes").matcher(constraint), "bytes", seed) for seed in range(count)]
    return [json.loads(text) for text, done in found if done]


HELD: dict[str, dict[str, Any]] = {
    "a record of zod": {
        "type": "object",
        "properties": {
            "m": {
                "type": "object",
                "propertyNames": {"type": "string"},
                "additionalProperties": {"type": "number"},
            }
        },
        "required": ["m"],
        "additionalProperties": False,
    },
    "a record with names from a list": {
        "type": "object",
        "propertyNames": {"type": "string", "enum": ["a", "b"]},
        "additionalProperties": {"type": "number"},
        "required": ["a"],
    },
    "names of a pattern": {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z]{1,3}$"},
        "additionalProperties": INTEGER,
        "maxProperties": 1,
    },
    "names of a length": {
        "type": "object",
        "propertyNames": {"minLength": 2, "maxLength": 4},
        "additionalProperties": INTEGER,
    },
    "named properties of a pattern": {
        "type": "object",
        "properties": {"ab": INTEGER, "A": INTEGER},
        "propertyNames": {"pattern": "^[a-z]+$"},
    },
    "tags with defaults": {**TAGGED, "$defs": BOTH},
    "tags in a list": {
        "type": "object",
        "properties": {"all": {"type": "array", "items": TAGGED, "maxItems": 3}},
        "required": ["all"],
        "$defs": BOTH,
    },
    "a union in a union": {
        "oneOf": [{"$ref": "#/$defs/AB"}, {"$ref": "#/$defs/C"}],
        "$defs": {**BOTH, "AB": TAGGED, "C": C},
    },
    "a union or null": {"oneOf": [{"type": "null"}, TAGGED], "$defs": BOTH},
    "anyOf in a oneOf": {
        "oneOf": [{"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}, C],
        "$defs": BOTH,
    },
    "a recursive union": {"$ref": "#/$defs/Node", "$defs": {"Node": NODE, "Leaf": LEAF}},
    "alternatives by what they require": {
        "type": "object",
        "properties": {"a": INTEGER, "b": INTEGER},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    },
    "alternatives by their properties": {
        "oneOf": [{"properties": {"a": INTEGER}, "required": ["a"]}, C | {"additionalProperties": False}]
    },
    "lists that share a value": {"oneOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]},
    "ranges": {"oneOf": [{**INTEGER, "maximum": 3}, {**INTEGER, "minimum": 5}]},
    "oneOf beside anyOf": {
        "type": "object",
        "properties": {"a": INTEGER, "b": INTEGER, "c": INTEGER},
        "anyOf": [{"required": ["c"]}],
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    },
    "no unique items": {"type": "array", "items": INTEGER, "uniqueItems": False},
    "unique items of a list": {
        "type": "array",
        "items": {"enum": ["a", "b", "c"]},
        "uniqueItems": True,
        "minItems": 2,
    },
    "unique items of an enumeration": {
        "type": "object",
        "properties": {"t": {"type": "array", "items": {"$ref": "#/$defs/E"}, "uniqueItems": True}},
        "required": ["t"],
        "$defs": {"E": {"type": "string", "enum": LETTERS}},
    },
    "unique items of many": {
        "type": "array",
        "items": {"enum": [f"value {n}" for n in range(60)]},
        "uniqueItems": True,
        "minItems": 7,
    },
    "unique items or null": {"type": ["array", "null"], "items": {"type": "boolean"}, "uniqueItems": True},
    "unique numbers": {
        "type": "array",
        "items": {"enum": [1, 1.0, True, 0, False, "1"]},
        "uniqueItems": True,
        "minItems": 5,
    },
    "unique constants": {
        "type": "array",
        "items": {"anyOf": [{"const": 1}, {"const": 2}]},
        "uniqueItems": True,
    },
    "one item": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "maxItems": 1},
    "no dependencies": {"type": "object", "dependentRequired": {"a": []}, "dependentSchemas": {"a": {}}},
    "a dependency on what is required": {
        **A,
        "dependentRequired": {"kind": ["x"]},
        "dependencies": {"kind": ["x"]},
    },
    "unused definitions": {**A, "$defs": {"odd": {"not": {"type": "null"}, "contains": {}}}},
    "not false": {"type": "object", "not": False, "additionalProperties": INTEGER},
    "not not": {"type": "integer", "not": {"not": {}}},
    "not another type": {"type": "string", "not": {"type": "null"}},
    "not some of the values": {"enum": ["a", "b", 3], "not": {"enum": ["a", 3.0]}},
    "a condition without an effect": {
        "type": "object",
        "if": {"required": ["a"]},
        "properties": {"a": INTEGER},
    },
    "consequences without a condition": {**A, "then": {"required": ["q"]}, "else": False},
    "a condition that always holds": {**A, "if": {}, "then": {"required": ["kind"]}},
    "nothing unevaluated": {"type": "object", "properties": {"a": INTEGER}, "unevaluatedProperties": False},
    "nothing unevaluated but what is inherited": {
        "type": "object",
        "allOf": [{"$ref": "#/$defs/A"}],
        "properties": {"b": INTEGER},
        "unevaluatedProperties": False,
        "$defs": {"A": A},
    },
    "contains at least none": {
        "type": "array",
        "items": INTEGER,
        "contains": {"type": "string"},
        "minContains": 0,
    },
    "contains anything": {
        "type": "array",
        "items": INTEGER,
        "contains": {},
        "minContains": 2,
        "maxContains": 3,
    },
    "keywords of other types": {
        "type": "integer",
        "uniqueItems": True,
        "propertyNames": {"pattern": "^(?=a)"},
    },
    "an anchor": {"type": "object", "$dynamicAnchor": "here", "properties": {"a": INTEGER}},
    "a dynamic reference": {
        "$dynamicAnchor": "n",
        "type": "object",
        "properties": {"c": {"type": "array", "items": {"$dynamicRef": "#n"}, "maxItems": 1}},
        "additionalProperties": False,
    },
    "a format that no draft knows": {"type": "string", "format": "path"},
}


@pytest.mark.parametrize("whole", HELD.values(), ids=HELD)
def test_what_has_a_narrowing_is_held_and_every_answer_validates(whole: dict[str, Any]) -> None:
    before = json.dumps(whole)
    held = compiled(whole)
    assert held.unheld == ()
    assert json.dumps(whole) == before
    found = answers(held)
    assert len(found) > 6
    for answer in found:
        jsonschema.Draft202012Validator(whole).validate(answer)


def test_both_members_of_a_tagged_union_are_written_with_their_tag() -> None:
    found = answers(compiled({**TAGGED, "$defs": BOTH}), 30)
    assert {answer["kind"] for answer in found} == {"a", "b"}


def test_few_unique_items_come_in_any_sequence_and_many_in_that_of_the_list() -> None:
    def arrays(values: list[str]) -> Any:
        whole = {"type": "array", "items": {"enum": values}, "uniqueItems": True}
        return compiled(whole).schema["enum"]

    assert ["b", "a"] in arrays(["a", "b"])
    assert arrays(["a", "b"]) == [[], ["a"], ["b"], ["a", "b"], ["b", "a"]]
    assert LETTERS in arrays(LETTERS)
    assert ["b", "a"] not in arrays(LETTERS)


REFUSED: list[tuple[dict[str, Any], tuple[str | int, ...], str]] = [
    (
        {"items": {"uniqueItems": True, "items": {"type": "string"}}},
        ("items", "uniqueItems"),
        "uniqueItems is not",
    ),
    ({"not": {}}, ("not",), "not is not supported"),
    ({"oneOf": [{"type": "number"}, INTEGER]}, ("oneOf",), MESSAGES["oneOf"]),
    ({"properties": {"a": {"pattern": "a(?=b)"}}}, ("properties", "a", "pattern"), MESSAGES["pattern"]),
    (
        {"properties": {"a": {"type": "text"}}},
        ("properties", "a", "type"),
        "type must be one of array, boolean",
    ),
    ({"properties": 5}, ("properties",), "properties must be an object of schemas"),
    ({"properties": {"a": 5}}, ("properties", "a"), "a schema must be an object or a boolean"),
    ({"$ref": "#/$defs/gone"}, ("$ref",), MESSAGES["$ref"]),
    ({"type": "string", "format": "regex"}, ("format",), "format regex is not supported"),
    ({**INTEGER, "minimum": 3, "maximum": 2}, ("minimum",), "minimum leaves no value that matches"),
    (
        {"allOf": [{"type": "string"}, INTEGER]},
        ("allOf",),
        "allOf leaves no value that matches the whole schema",
    ),
    ({"description": "x" * 100_001}, (), "a schema has at most 100000 characters, not 100020"),
    (
        {"properties": {str(n): True for n in range(1001)}},
        ("properties",),
        "a schema has at most 1000 properties",
    ),
    (
        {"$defs": {"D": {"oneOf": [{"type": "number"}, INTEGER]}}, "items": {"$ref": "#/$defs/D"}},
        ("$defs", "D", "oneOf"),
        MESSAGES["oneOf"],
    ),
    (
        {
            "oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}],
            "$defs": {"A": {**A, "properties": {**A["properties"], "y": {"not": {}}}}, "B": B},
        },
        ("$defs", "A", "properties", "y", "not"),
        "not is not supported",
    ),
]


@pytest.mark.parametrize(("whole", "path", "message"), REFUSED)
def test_a_strict_schema_is_refused_at_the_part_that_cannot_be_held(
    whole: dict[str, Any], path: tuple[str | int, ...], message: str
) -> None:
    with pytest.raises(SchemaRefused) as refused:
        compiled(whole)
    assert refused.value.problem.path == path
    assert refused.value.problem.message.startswith(message)


@pytest.mark.parametrize(("whole", "path"), [(whole, path) for whole, path, _ in REFUSED])
def test_what_is_not_strict_is_held_but_for_the_part_that_cannot(
    whole: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    held = compiled(whole, strict=False)
    assert path in held.unheld
    assert grammars("bytes").refusal(schema(held.schema)) is None


def test_the_rest_of_a_schema_that_is_not_strict_stays_in_force() -> None:
    whole = {
        "type": "object",
        "properties": {"a": {"type": "string", "maxLength": 2, "pattern": "(?=a)"}, "b": INTEGER},
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    for answer in answers(compiled(whole, strict=False)):
        assert (len(answer["a"]) <= 2, type(answer["b"]), len(answer)) == (True, int, 2)


def test_null_as_a_keyword_asks_for_nothing() -> None:
    whole = {
        "type": "object",
        "properties": {"a": {**INTEGER, "maximum": None}},
        "required": None,
        "$defs": None,
    }
    assert hold(whole, strict=True) == HeldSchema({"type": "object", "properties": {"a": INTEGER}})


words = st.sampled_from(
    [*(word for group in SUPPORTED for word in group), *UNSUPPORTED, "$defs", "definitions"]
)
leaves = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "object", "#", "#/$defs/a", "#a"])
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(words, inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    ),
    max_leaves=14,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(words, values, max_size=5), st.booleans())
def test_any_object_is_held_or_refused(whole: dict[str, Any], strict: bool) -> None:
    try:
        held = compiled(whole, strict=strict)
    except SchemaRefused:
        assert strict
    else:
        assert grammars("bytes").refusal(schema(held.schema)) is None
        assert not (strict and held.unheld)
