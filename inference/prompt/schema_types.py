"""The values that JSON Schema gives its keywords: anything else is no schema, and null asks for nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain, combinations, permutations
from math import comb, perm
from typing import Any, TypeAlias

from inference.errors import Location
from inference.prompt.json_schema import SUPPORTED, UNSUPPORTED, SchemaProblem, mapped
from inference.prompt.schema_shapes import TYPES, Resolve, common_types, key_of, type_of

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


CONSTRAINING = frozenset(chain(*SUPPORTED, UNSUPPORTED))
APPLICATORS = frozenset(
    {"$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "not", "dependentSchemas", "$dynamicRef"}
)
"""Keywords whose schemas see the same value, and whose properties count as evaluated."""
MAX_SEQUENCES = 2_000
"""Arrays of distinct values that are listed one by one."""
MAX_RANGE = 64
"""Integers of a range that are listed one by one."""
MAX_DEPTH = 2
"""Schemas in schemas that are followed for what a value may be: more would take time with their power."""


def constrains(schema: Any) -> bool:
    """Return True if some value may not match: the schema is false or has a keyword with an effect."""
    return schema is False or (isinstance(schema, dict) and bool(CONSTRAINING & schema.keys()))


def without(part: Mapping[str, Any], *words: str) -> dict[str, Any]:
    """Return the schema without some keywords."""
    return {key: value for key, value in part.items() if key not in words}


def types_of(part: Mapping[str, Any]) -> frozenset[str]:
    """Return the types that the `type` of a schema admits."""
    types = part.get("type", sorted(TYPES))
    return frozenset(types if isinstance(types, list) else [types]) & TYPES


def finite_values(schema: Any, resolve: Resolve, depth: int = 0) -> list[Any] | None:
    """Return the values of a schema where they are few and known, None otherwise."""
    schema = resolve(schema)
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return None
    words = (CONSTRAINING & schema.keys()) - {"type"}
    types = types_of(schema)
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(listed, list) and words <= {"const", "enum"}:
        return _distinct([one for one in listed if common_types(types, frozenset({type_of(one)}))])
    if words in ({"anyOf"}, {"oneOf"}) and "type" not in schema:
        parts = [finite_values(one, resolve, depth + 1) for one in schema[min(words)]]
        return None if None in parts else _distinct([*chain(*(part for part in parts if part))])
    if types <= {"boolean", "null"} and "type" in schema and not words:
        return [*([False, True] if "boolean" in types else []), *([None] if "null" in types else [])]
    return _integers(schema) if types == {"integer"} and words == {"minimum", "maximum"} else None


def _integers(schema: Mapping[str, Any]) -> list[Any] | None:
    low, high = schema["minimum"], schema["maximum"]
    if not isinstance(low, int) or not isinstance(high, int) or not 0 <= high - low < MAX_RANGE:
        return None
    return [*range(low, high + 1)]


def _distinct(values: list[Any]) -> list[Any]:
    return list({key_of(value): value for value in reversed(values)}.values())[::-1]


def unique_items(part: dict[str, Any], resolve: Resolve) -> dict[str, Any]:
    """List the arrays of distinct values one by one, where there are finitely many."""
    if "uniqueItems" not in part:
        return part
    rest = without(part, "uniqueItems")
    if part["uniqueItems"] is not True or rest.get("maxItems", 2) in (0, 1):
        return rest
    if {"prefixItems", "additionalItems", "contains"} & part.keys() or APPLICATORS & part.keys():
        return part
    values = finite_values(part.get("items", True), resolve)
    arrays = None if values is None else _arrays(values, part.get("minItems", 0), part.get("maxItems"))
    if arrays is None:
        return part
    others = sorted(types_of(part) - {"array"})
    rest = without(rest, "items", "minItems", "maxItems", "type")
    if not others:
        return {**rest, **arrays}
    annotations = {key: value for key, value in rest.items() if key not in CONSTRAINING}
    constraints = {key: value for key, value in rest.items() if key in CONSTRAINING}
    return {**annotations, "anyOf": [arrays, {"type": others, **constraints}]}


def _arrays(values: list[Any], least: Any, most: Any) -> dict[str, Any] | None:
    """Return the schema of arrays of distinct values: in any sequence, in that of the values, or by place.

    Those with the most choice that are few enough; the longer ones are left out where all are too many.
    """
    count = len(values)
    most = min(most, count) if isinstance(most, int) else count
    if not isinstance(least, int) or least > most:
        return None
    for ways, choose in ((perm, permutations), (comb, combinations)):
        if sum(ways(count, size) for size in range(least, most + 1)) <= MAX_SEQUENCES:
            return _listed(values, choose, least, most)
    while most > least and sum(comb(count, size) for size in range(least, most + 1)) > MAX_SEQUENCES:
        most -= 1
    if most >= max(least, 1) and sum(comb(count, size) for size in range(least, most + 1)) <= MAX_SEQUENCES:
        return _listed(values, combinations, least, most)
    places = [{"enum": values[place::least]} for place in range(least)]
    return {"type": "array", "prefixItems": places, "items": False, "minItems": least, "maxItems": least}


def _listed(values: list[Any], choose: Any, least: int, most: int) -> dict[str, Any]:
    return {"enum": [list(one) for size in range(least, most + 1) for one in choose(values, size)]}
