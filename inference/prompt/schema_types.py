"""The values that JSON Schema gives its keywords: anything else is no schema, and null asks for nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from inference.errors import Location
from inference.prompt.json_schema import SchemaProblem, mapped
from inference.prompt.schema_shapes import TYPES

Check: TypeAlias = Callable[[Any], bool]


def _is_schema(value: Any) -> bool:
    return isinstance(value, (dict, bool))


def _is_list_of_schemas(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_schema, value))


def _is_map_of_schemas(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_schema, value.values()))


def _is_list_of_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in TYPES for name in names)


def _is_map_of_names(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_list_of_names, value.values()))


def _is_map_of_dependencies(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_schema(one) or _is_list_of_names(one) for one in value.values()
    )


KINDS: tuple[tuple[str, Check, tuple[str, ...]], ...] = (
    (f"one of {', '.join(sorted(TYPES))}, or a list of them", _is_type, ("type",)),
    (
        "a schema: an object or a boolean",
        _is_schema,
        (
            *("additionalProperties", "additionalItems", "not", "if", "then", "else", "contains"),
            *("propertyNames", "unevaluatedItems", "unevaluatedProperties"),
        ),
    ),
    (
        "a schema, or a list of schemas",
        lambda value: _is_schema(value) or _is_list_of_schemas(value),
        ("items",),
    ),
    ("a list of schemas", _is_list_of_schemas, ("anyOf", "oneOf", "allOf", "prefixItems")),
    (
        "an object of schemas",
        _is_map_of_schemas,
        ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"),
    ),
    ("a list of names", _is_list_of_names, ("required",)),
    ("an object of lists of names", _is_map_of_names, ("dependentRequired",)),
    ("an object of schemas and lists of names", _is_map_of_dependencies, ("dependencies",)),
    ("a list", lambda value: isinstance(value, list), ("enum",)),
    (
        "a whole number of at least 0",
        _is_count,
        (
            *("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
            *("minContains", "maxContains"),
        ),
    ),
    ("a number", _is_number, ("minimum", "maximum")),
    ("a number of more than 0", lambda value: _is_number(value) and value > 0, ("multipleOf",)),
    (
        "a number",
        lambda value: isinstance(value, (int, float)),
        ("exclusiveMinimum", "exclusiveMaximum"),
    ),
    (
        "a text",
        lambda value: isinstance(value, str),
        ("pattern", "format", "$ref", "$dynamicRef", "$dynamicAnchor", "$recursiveRef"),
    ),
    ("a boolean", lambda value: isinstance(value, bool), ("uniqueItems", "$recursiveAnchor")),
)
"""A description of the value, the check of it, and the keywords that take it."""
CHECKS = {word: (kind, check) for kind, check, words in KINDS for word in words}
MAPS_OF_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions")


def with_right_types(schema: dict[str, Any]) -> tuple[dict[str, Any], list[SchemaProblem]]:
    """Return the schema without the keywords whose value is of no use to them, and a problem for each.

    Keywords with the value null are left out too: they ask for nothing.
    """
    problems: list[SchemaProblem] = []

    def rule(path: Location, part: dict[str, Any]) -> dict[str, Any]:
        kept = {}
        for word, value in part.items():
            if word not in CHECKS:
                kept[word] = value
            elif value is not None:
                value = _without_wrong_schemas(word, value, path, problems)
                kind, check = CHECKS[word]
                if check(value):
                    kept[word] = value
                else:
                    problems.append(SchemaProblem((*path, word), value, f"{word} must be {kind}"))
        return kept

    return mapped(schema, rule, everywhere=True), problems


def _without_wrong_schemas(word: str, value: Any, path: Location, problems: list[SchemaProblem]) -> Any:
    """Return a map of schemas with those that are none replaced, so that one does not cost the others."""
    if word not in MAPS_OF_SCHEMAS or not isinstance(value, dict):
        return value
    for name, one in value.items():
        if one is not None and not _is_schema(one):
            message = "a schema must be an object or a boolean"
            problems.append(SchemaProblem((*path, word, name), one, message))
    return {name: one if _is_schema(one) else {} for name, one in value.items()}
