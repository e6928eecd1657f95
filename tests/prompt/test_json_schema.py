"""Schemas: the parts that cannot be enforced are refused at their location."""

from typing import Any

import jsonschema
import pytest

from inference.contracts import Constraint, Grammar
from inference.prompt import json_schema
from inference.prompt.json_schema import (
    FORMATS,
    SUPPORTED,
    UNSUPPORTED,
    find_problem,
    locate_problem,
    repeats_problem,
    subschemas,
)
from tests.engine.grammars import grammars, schema

VALUES: dict[str, Any] = {
    **{name: {"type": "string"} for name in ("not", "if", "then", "else", "contains", "propertyNames")},
    **dict.fromkeys(("minContains", "maxContains"), 2),
    **dict.fromkeys(("unevaluatedProperties", "unevaluatedItems", "$recursiveAnchor"), False),
    "uniqueItems": True,
    "dependentRequired": {"a": ["b"]},
    "dependencies": {"a": ["b"]},
    "dependentSchemas": {"a": {}},
    "$dynamicRef": "#a",
    "$dynamicAnchor": "a",
    "$recursiveRef": "#",
}
"""A value with an effect, of each unsupported keyword."""


@pytest.mark.parametrize("keyword", sorted(UNSUPPORTED))
def test_unsupported_keywords_are_refused_at_any_depth(keyword: str) -> None:
    value = VALUES[keyword]
    for path, whole in (
        ((), {keyword: value}),
        (("properties", "a"), {"properties": {"not": {}, "a": {keyword: value}}}),
        (("items", "anyOf", 1), {"items": {"anyOf": [{}, {"type": "object", keyword: value}]}}),
        (("$defs", "a", "allOf", 0), {"$defs": {"a": {"allOf": [{keyword: value}]}}}),
        (("additionalProperties",), {"additionalProperties": {keyword: value}}),
        (("prefixItems", 0), {"prefixItems": [{keyword: value}]}),
        (("patternProperties", "^a"), {"patternProperties": {"^a": {keyword: value}}}),
        (("items", 0), {"items": [{keyword: value}], "additionalItems": False}),
    ):
        found = find_problem(whole)
        assert found is not None
        assert (found.path, found.value) == ((*path, keyword), value)
        assert found.message == f"{keyword} is not supported in a schema that constrains an answer"


@pytest.mark.parametrize("keyword", sorted(UNSUPPORTED))
def test_the_library_refuses_every_unsupported_keyword(keyword: str) -> None:
    """A keyword that the library comes to support should leave the list."""
    wanted = schema({"type": ["array", "object", "string"], keyword: VALUES[keyword]})
    assert "Unimplemented keys" in (grammars("bytes").refusal(wanted) or "")


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_library_takes_every_format(name: str) -> None:
    assert grammars("bytes").refusal(schema({"type": "string", "format": name})) is None


SAMPLES: dict[str, Any] = {
    "type": "integer",
    "enum": [1],
    "const": 1,
    **{name: [{"type": "integer"}] for name in ("anyOf", "oneOf", "allOf", "prefixItems")},
    "$ref": "#/$defs/a",
    **{name: {"a": {"type": "integer"}} for name in ("properties", "patternProperties")},
    "required": ["a"],
    **{name: {"type": "integer"} for name in ("additionalProperties", "items", "additionalItems")},
    **dict.fromkeys(("minProperties", "maxProperties", "minItems", "maxItems", "minLength", "maxLength"), 1),
    "pattern": "^a",
    "format": "date",
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), 5),
}


@pytest.mark.parametrize("keyword", [keyword for group in SUPPORTED for keyword in group])
def test_the_library_takes_every_supported_keyword(keyword: str) -> None:
    whole = {keyword: SAMPLES[keyword], "$defs": {"a": {"type": "null"}}}
    assert find_problem(whole) is None
    assert grammars("bytes").refusal(schema(whole)) is None


def test_values_and_property_names_are_no_keywords() -> None:
    whole = {
        "properties": {"not": {"type": "string"}, "uniqueItems": True, "format": {"enum": [{"not": 1}]}},
        "enum": [{"if": {"contains": 1}}],
        "const": {"not": {}},
        "default": {"not": {}},
        "examples": [{"not": {}}],
        "x-anything": {"not": {}},
    }
    assert find_problem(whole) is None
    assert [part.path for part in subschemas(whole)] == [(), ("properties", "not"), ("properties", "format")]


@pytest.mark.parametrize(
    ("whole", "path", "message"),
    [
        ({"format": "regex"}, ("format",), "format regex is not supported; date, date-time, duration, email"),
        ({"type": ["null", "string"], "format": "int32"}, ("format",), "format int32 is not supported"),
        ({"minProperties": 2, "required": ["a", "a"], "x": 1}, None, ""),
        (
            {"minProperties": 3, "required": ["a"]},
            ("minProperties",),
            "minProperties can exceed the required",
        ),
        (
            {"prefixItems": [True], "additionalItems": False},
            ("prefixItems",),
            "prefixItems and additionalItems",
        ),
        ({"multipleOf": 1.2345}, ("multipleOf",), "multipleOf takes a number of at most 4 digits"),
        ({"multipleOf": 0.25}, None, ""),
        ({"multipleOf": 1e-9}, None, ""),
        ({"const": 2**53 + 1}, ("const",), "integers beyond 2^53 are not supported"),
        ({"enum": [{"a": [-(2**60)]}]}, ("enum",), "integers beyond 2^53 are not supported"),
        ({"maximum": 2**63 - 1}, ("maximum",), "integers beyond 2^53 are not supported"),
        ({"maximum": 2**53}, None, ""),
        ({"type": "integer", "format": "int32"}, None, ""),
        ({"pattern": "(a{200}){200}"}, ("pattern",), "a regex asks for 40000 repetitions, at most 10000"),
        (
            {"patternProperties": {"a{20000}": {}}},
            ("patternProperties",),
            "a regex asks for 20000 repetitions",
        ),
        ({"enum": [*range(5001)]}, ("enum",), "a schema has at most 5000 enum in all"),
        ({"properties": {str(n): True for n in range(1001)}}, ("properties",), "a schema has at most 1000"),
        (
            {"patternProperties": {f"^{n}$": True for n in range(41)}},
            ("patternProperties",),
            "a schema has at",
        ),
        ({"anyOf": [{"type": "null"}] * 5000}, ("anyOf", 4999), "a schema has at most 5000 schemas in all"),
    ],
)
def test_a_part_that_cannot_be_enforced_or_exceeds_a_limit_is_refused(
    whole: dict[str, Any], path: tuple[str | int, ...] | None, message: str
) -> None:
    found = find_problem(whole)
    assert (found and found.path) == path
    assert (found.message if found else "").startswith(message)


@pytest.mark.parametrize(
    ("whole", "path"),
    [
        ({"type": "strng"}, ("type",)),
        (
            {"properties": {"a": {}, "b": {"type": "string", "pattern": "a(?=b)"}}},
            ("properties", "b", "pattern"),
        ),
        ({"items": {"oneOf": [{"type": "number"}, {"type": "integer"}]}}, ("items", "oneOf")),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"maxLength": -1}}}, ("$defs", "a", "maxLength")),
        ({"properties": {"a": {"$ref": "#/$defs/gone"}}}, ("properties", "a", "$ref")),
        ({"properties": {"a": {"$ref": "https://x.example/y"}}}, ("properties", "a", "$ref")),
        ({"anyOf": [{"type": "null"}, {"anyOf": {}}]}, ("anyOf", 1, "anyOf")),
        ({"type": "integer", "minimum": 3, "maximum": 2}, ("minimum",)),
        ({"allOf": [{"type": "string"}, {"type": "null"}]}, ("allOf",)),
        ({"enum": []}, ("enum",)),
    ],
)
def test_the_smallest_part_at_fault_is_located(whole: dict[str, Any], path: tuple[str | int, ...]) -> None:
    assert find_problem(whole) is None

    def refusal(source: str) -> str | None:
        return grammars("bytes").refusal(Constraint(Grammar.JSON_SCHEMA, source))

    message = grammars("bytes").refusal(schema(whole))
    assert message is not None
    found = locate_problem(whole, refusal, message)
    value: Any = whole
    for step in path:
        value = value[step]
    assert (found.path, found.value, found.message) == (path, value, message)


@pytest.mark.parametrize(
    ("pattern", "too_many"),
    [
        (r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}$", False),
        ("[a-z]{1,10000}[0-9]{1,10000}", False),
        ("a{10001}", True),
        ("a{2,}", False),
        ("a{,20000}", False),
        (r"\(a{200}\){200}", False),
        ("[(]a{200}[)]{200}", False),
        ("(a{200}){200}", True),
        ("((a{101})b){100}", True),
        ("(a{100}|b{3}){101}", True),
        ("(?:x{50}y){0,201}", True),
        ("a{100}{101}", True),
        (r"[\]{20000}]", False),
        ("a{", False),
        ("[" * 100_000 + "\\", False),
        ("[" * 100_000, False),
        (")(", False),
    ],
)
def test_repetitions_are_counted_through_groups(pattern: str, too_many: bool) -> None:
    assert (repeats_problem(pattern) is not None) is too_many


def test_the_search_for_the_part_at_fault_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_schema, "SEARCH_SECONDS", -1.0)
    whole = {"properties": {"a": {"type": "strng"}}}

    def refusal(_: str) -> str:
        raise AssertionError("nothing is compiled after the deadline")

    assert locate_problem(whole, refusal, "why") == ((), whole, "why")


def test_duplicate_properties_satisfy_the_library_s_min_properties_and_no_validator_s() -> None:
    """The reason for the bound on minProperties: the library counts duplicates, JSON parsers drop them."""
    matcher = grammars("bytes").matcher(schema({"type": "object", "minProperties": 2}))
    text = '{"a": 1, "a": 2}'
    for token in text.encode():
        matcher.advance(token)
    assert matcher.is_terminated
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"a": 2}, {"minProperties": 2})
