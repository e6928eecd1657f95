"""What single keywords of a schema ask: nothing, or something that other keywords can say.

Every rule takes a schema and returns it, or one whose values are all values of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from inference.errors import Location
from inference.prompt.json_schema import subschemas
from inference.prompt.schema_shapes import Resolve, common_types, key_of
from inference.prompt.schema_types import (
    APPLICATORS,
    CONSTRAINING,
    MAX_DEPTH,
    constrains,
    finite_values,
    types_of,
    without,
)

OBJECT_ONLY = frozenset(
    {"propertyNames", "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties"}
)
ARRAY_ONLY = frozenset({"uniqueItems", "contains", "minContains", "maxContains", "unevaluatedItems"})


def apply(part: dict[str, Any], resolve: Resolve) -> dict[str, Any]:
    """Return the schema after every rule but `unique_items`; those in it have been through them."""
    part = _of_other_types(part)
    for rule in (_conditions, _dependencies, _contains, _unevaluated_items):
        part = rule(part)
    for resolving in (_unevaluated_properties, _not, _property_names):
        part = resolving(part, resolve)
    return part


def admits_nothing(schema: Any) -> bool:
    """Return True if the schema is known to match no value."""
    if not isinstance(schema, dict):
        return schema is False
    return schema.get("enum") == [] or ("not" in schema and not constrains(schema["not"]))


def _of_other_types(part: dict[str, Any]) -> dict[str, Any]:
    """Drop the keywords of objects and arrays where the type is another."""
    types = types_of(part)
    if "type" not in part or not types:
        return part
    dropped = () if "object" in types else OBJECT_ONLY
    return without(part, *dropped, *(() if "array" in types else ARRAY_ONLY))


def _conditions(part: dict[str, Any]) -> dict[str, Any]:
    if "if" not in part:
        return without(part, "then", "else")
    then, otherwise = part.get("then", True), part.get("else", True)
    rest = without(part, "if", "then", "else")
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
            part = without(part, word)
    return part


def _depends(value: Any, always: set[str]) -> bool:
    return not always.issuperset(value) if isinstance(value, list) else constrains(value)


def _contains(part: dict[str, Any]) -> dict[str, Any]:
    if "contains" not in part:
        return without(part, "minContains", "maxContains")
    least, most = part.get("minContains", 1), part.get("maxContains")
    if least == 0 and most is None:
        return without(part, "contains", "minContains")
    if constrains(part["contains"]) or not isinstance(least, int) or not isinstance(most, int | None):
        return part
    part = without(part, "contains", "minContains", "maxContains")
    part["minItems"] = max(part.get("minItems", 0), least)
    if most is not None:
        part["maxItems"] = min(part.get("maxItems", most), most)
    return part


def _unevaluated_items(part: dict[str, Any]) -> dict[str, Any]:
    if "unevaluatedItems" not in part:
        return part
    value, rest = part["unevaluatedItems"], without(part, "unevaluatedItems")
    if not constrains(value) or ("items" in part and not isinstance(part["items"], list)):
        return rest
    plain = not (APPLICATORS | {"contains", "items"}) & part.keys()
    return {**rest, "items": value} if plain else part


def _unevaluated_properties(part: dict[str, Any], resolve: Resolve) -> dict[str, Any]:
    if "unevaluatedProperties" not in part:
        return part
    value, rest = part["unevaluatedProperties"], without(part, "unevaluatedProperties")
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
    excluded, rest = resolve(part["not"]), without(part, "not")
    if admits_nothing(excluded):
        return rest
    if not isinstance(excluded, dict):
        return part
    if not common_types(types_of(part), types_of(excluded)):
        return rest
    others = finite_values(excluded, resolve)
    own = finite_values(without(rest, *APPLICATORS), resolve)
    if others is None or own is None or constrains(without(excluded, "enum", "const", "type")):
        return part
    banned = set(map(key_of, others))
    return {**without(rest, "const"), "enum": [one for one in own if key_of(one) not in banned]}


# Property names.


def _property_names(part: dict[str, Any], resolve: Resolve) -> dict[str, Any]:
    names = resolve(part.get("propertyNames", True))
    if isinstance(names, dict) and "string" in types_of(names):
        names = without(names, "type")
    if not constrains(names):
        return without(part, "propertyNames")
    if not isinstance(names, dict) or "patternProperties" in part:
        return part
    rest = without(part, "propertyNames")
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
                part = {**without(part, "$dynamicRef", "$recursiveRef"), "$ref": reference}
        return without(part, "$dynamicAnchor", "$recursiveAnchor")
