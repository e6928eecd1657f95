"""What single keywords of a schema ask: nothing, or something that other keywords can say.

Every rule takes a schema and returns it, or one whose values are all values of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, combinations, permutations
from math import comb, perm
from typing import Any
from urllib.parse import quote

from inference.errors import Location
from inference.prompt.json_schema import SUPPORTED, UNSUPPORTED, subschemas
from inference.prompt.schema_unions import TYPES, Resolve, common_types, key_of, type_of

CONSTRAINING = frozenset(chain(*SUPPORTED, UNSUPPORTED))
APPLICATORS = frozenset(
    {"$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "not", "dependentSchemas", "$dynamicRef"}
)
"""Keywords whose schemas see the same value, and whose properties count as evaluated."""
OBJECT_ONLY = frozenset(
    {"propertyNames", "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties"}
)
ARRAY_ONLY = frozenset({"uniqueItems", "contains", "minContains", "maxContains", "unevaluatedItems"})
MAX_SEQUENCES = 2_000
"""Arrays of distinct values that are listed one by one."""
MAX_DEPTH = 2
"""Schemas in schemas that are followed for what a value may be: more would take time with their power."""
MAX_RANGE = 64
"""Integers of a range that are listed one by one."""


def apply(part: dict[str, Any], resolve: Resolve) -> dict[str, Any]:
    """Return the schema after every rule but `unique_items`; those in it have been through them."""
    part = _of_other_types(part)
    for rule in (_conditions, _dependencies, _contains, _unevaluated_items):
        part = rule(part)
    for resolving in (_unevaluated_properties, _not, _property_names):
        part = resolving(part, resolve)
    return part


def constrains(schema: Any) -> bool:
    """Return True if some value may not match: the schema is false or has a keyword with an effect."""
    return schema is False or (isinstance(schema, dict) and bool(CONSTRAINING & schema.keys()))


def admits_nothing(schema: Any) -> bool:
    """Return True if the schema is known to match no value."""
    if not isinstance(schema, dict):
        return schema is False
    return schema.get("enum") == [] or ("not" in schema and not constrains(schema["not"]))


def _without(part: Mapping[str, Any], *words: str) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key not in words}


def _types(part: Mapping[str, Any]) -> frozenset[str]:
    types = part.get("type", sorted(TYPES))
    return frozenset(types if isinstance(types, list) else [types]) & TYPES


def _of_other_types(part: dict[str, Any]) -> dict[str, Any]:
    """Drop the keywords of objects and arrays where the type is another."""
    types = _types(part)
    if "type" not in part or not types:
        return part
    dropped = () if "object" in types else OBJECT_ONLY
    return _without(part, *dropped, *(() if "array" in types else ARRAY_ONLY))


def _conditions(part: dict[str, Any]) -> dict[str, Any]:
    if "if" not in part:
        return _without(part, "then", "else")
    then, otherwise = part.get("then", True), part.get("else", True)
    rest = _without(part, "if", "then", "else")
    if not constrains(then) and not constrains(otherwise):
        return rest
    if not constrains(part["if"]):
        return {**rest, "allOf": [*rest.get("allOf", ()), then]}
    if admits_nothing(part["if"]):
        return {**rest, "allOf": [*rest.get("allOf", ()), otherwise]}
    return part


def _dependencies(part: dict[str, Any]) -> dict[str, Any]:
    required = part.get("required")
    always = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
    for word in ("dependentRequired", "dependentSchemas", "dependencies"):
        value = part.get(word)
        if isinstance(value, dict) and not any(_depends(one, always) for one in value.values()):
            part = _without(part, word)
    return part


def _depends(value: Any, always: set[str]) -> bool:
    return not always.issuperset(value) if isinstance(value, list) else constrains(value)


def _contains(part: dict[str, Any]) -> dict[str, Any]:
    if "contains" not in part:
        return _without(part, "minContains", "maxContains")
    least, most = part.get("minContains", 1), part.get("maxContains")
    if least == 0 and most is None:
        return _without(part, "contains", "minContains")
    if constrains(part["contains"]) or not isinstance(least, int) or not isinstance(most, int | None):
        return part
    part = _without(part, "contains", "minContains", "maxContains")
    part["minItems"] = max(part.get("minItems", 0), least)
    if most is not None:
        part["maxItems"] = min(part.get("maxItems", most), most)
    return part


def _unevaluated_items(part: dict[str, Any]) -> dict[str, Any]:
    if "unevaluatedItems" not in part:
        return part
    value, rest = part["unevaluatedItems"], _without(part, "unevaluatedItems")
    if not constrains(value) or ("items" in part and not isinstance(part["items"], list)):
        return rest
    plain = not (APPLICATORS | {"contains", "items"}) & part.keys()
    return {**rest, "items": value} if plain else part


def _unevaluated_properties(part: dict[str, Any], resolve: Resolve) -> dict[str, Any]:
    if "unevaluatedProperties" not in part:
        return part
    value, rest = part["unevaluatedProperties"], _without(part, "unevaluatedProperties")
    if not constrains(value) or "additionalProperties" in part:
        return rest
    names = _evaluated_names(rest, resolve, 0)
    if names is None:
        return part
    own = rest.get("properties", {})
    properties = {**own, **{name: True for name in sorted(names) if name not in own}}
    return {**rest, "properties": properties, "additionalProperties": value}


def _evaluated_names(part: Any, resolve: Resolve, depth: int) -> set[str] | None:
    """Return the properties that a schema and its `allOf` name, None where that depends on the value."""
    if not isinstance(part, dict) or depth > MAX_DEPTH:
        return set() if part is True else None
    if (APPLICATORS - {"allOf"}) & part.keys() or (depth and "patternProperties" in part):
        return None
    if depth and constrains(part.get("additionalProperties", True)):
        return None
    names = set(part.get("properties", ()))
    for inner in part.get("allOf", ()):
        found = _evaluated_names(resolve(inner), resolve, depth + 1)
        if found is None:
            return None
        names |= found
    return names


def _not(part: dict[str, Any], resolve: Resolve) -> dict[str, Any]:
    if "not" not in part:
        return part
    excluded, rest = resolve(part["not"]), _without(part, "not")
    if admits_nothing(excluded):
        return rest
    if not isinstance(excluded, dict):
        return part
    if not common_types(_types(part), _types(excluded)):
        return rest
    others = finite_values(excluded, resolve)
    own = finite_values(_without(rest, *APPLICATORS), resolve)
    if others is None or own is None or constrains(_without(excluded, "enum", "const", "type")):
        return part
    banned = set(map(key_of, others))
    return {**_without(rest, "const"), "enum": [one for one in own if key_of(one) not in banned]}


# Property names.


def _property_names(part: dict[str, Any], resolve: Resolve) -> dict[str, Any]:
    names = resolve(part.get("propertyNames", True))
    if isinstance(names, dict) and "string" in _types(names):
        names = _without(names, "type")
    if not constrains(names):
        return _without(part, "propertyNames")
    if not isinstance(names, dict) or "patternProperties" in part:
        return part
    rest = _without(part, "propertyNames")
    if (values := finite_values(names, resolve)) is not None:
        return _with_names(rest, [value for value in values if isinstance(value, str)])
    pattern = _name_pattern(names)
    if pattern is None:
        return part
    if own := rest.get("properties"):
        matching = _matching(own, pattern)
        return part if matching is None else {**rest, "properties": matching, "additionalProperties": False}
    others = rest.get("additionalProperties", True)
    return {**rest, "patternProperties": {pattern: others}, "additionalProperties": False}


def _with_names(part: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Return the schema of an object that has no properties but these."""
    own, others = part.get("properties", {}), part.get("additionalProperties", True)
    properties = {name: own.get(name, others) for name in names}
    return {**part, "properties": properties, "additionalProperties": False}


def _name_pattern(names: Mapping[str, Any]) -> str | None:
    """Return the pattern that says all of a schema of names, None where none does."""
    words = CONSTRAINING & names.keys()
    if words == {"pattern"} and isinstance(names["pattern"], str):
        return str(names["pattern"])
    if words and words <= {"minLength", "maxLength"}:
        least, most = names.get("minLength", 0), names.get("maxLength", "")
        return rf"^[\s\S]{{{least},{most}}}$"
    return None


def _matching(properties: Mapping[str, Any], pattern: str) -> dict[str, Any] | None:
    try:
        return {name: one for name, one in properties.items() if re.search(pattern, name)}
    except re.error:
        return None


# Finite values.


def finite_values(schema: Any, resolve: Resolve, depth: int = 0) -> list[Any] | None:
    """Return the values of a schema where they are few and known, None otherwise."""
    schema = resolve(schema)
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return None
    words = (CONSTRAINING & schema.keys()) - {"type"}
    types = _types(schema)
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
    rest = _without(part, "uniqueItems")
    if part["uniqueItems"] is not True or rest.get("maxItems", 2) in (0, 1):
        return rest
    if {"prefixItems", "additionalItems", "contains"} & part.keys() or APPLICATORS & part.keys():
        return part
    values = finite_values(part.get("items", True), resolve)
    arrays = None if values is None else _arrays(values, part.get("minItems", 0), part.get("maxItems"))
    if arrays is None:
        return part
    others = sorted(_types(part) - {"array"})
    rest = _without(rest, "items", "minItems", "maxItems", "type")
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


# References that are found by name.


def pointer(path: Location) -> str:
    """Return the reference that leads to a location of the same document."""
    return "#" + "".join(f"/{quote(str(step).replace('~', '~0').replace('/', '~1'))}" for step in path)


@dataclass(frozen=True, slots=True)
class DynamicReferences:
    """The dynamic references of one document, which lead to a fixed place where nothing overrides it."""

    anchors: Mapping[str, Location]
    fixed: bool
    """True if the document is one resource and no recursive anchor moves a reference."""

    @classmethod
    def of(cls, schema: dict[str, Any]) -> DynamicReferences:
        """Return those of a document."""
        parts = list(subschemas(schema))
        anchors = {
            part["$dynamicAnchor"]: path
            for path, part in parts
            if isinstance(part.get("$dynamicAnchor"), str)
        }
        moved = any(path and ("$id" in part or part.get("$recursiveAnchor") is True) for path, part in parts)
        return cls(anchors, not moved)

    def static(self, part: dict[str, Any]) -> dict[str, Any]:
        """Return a schema with its dynamic references as plain ones."""
        if not self.fixed:
            return part
        reference = part.get("$dynamicRef", part.get("$recursiveRef"))
        if isinstance(reference, str) and "$ref" not in part:
            path = self.anchors.get(reference[1:])
            if path is not None:
                reference = pointer(path)
            if reference == "#" or reference.startswith("#/"):
                part = {**_without(part, "$dynamicRef", "$recursiveRef"), "$ref": reference}
        return _without(part, "$dynamicAnchor", "$recursiveAnchor")
