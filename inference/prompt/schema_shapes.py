"""Facts that hold for every value of a schema: its types, listed values, properties and bounds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

Resolve: TypeAlias = Callable[[Any], Any]
"""Follows the references of a schema to the one they lead to, None where they lead nowhere."""

TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
MAX_PARTS = 2
"""`allOf`s inside `allOf`s that are looked into."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Facts that hold for every value of an alternative."""

    types: frozenset[str] = TYPES
    values: tuple[Any, ...] | None = None
    """Its values, where they are finitely many."""
    properties: Mapping[str, Shape] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    closed: bool = False
    """True if it has no properties but those it names."""
    patterned: bool = False
    """True if it names properties by patterns."""
    low: float = float("-inf")
    high: float = float("inf")
    """Bounds of a number, both inclusive."""

    def both(self, other: Shape) -> Shape:
        """Return what holds for values of this shape and of the other."""
        names = {**other.properties, **self.properties}
        return Shape(
            common_types(self.types, other.types),
            self.values if other.values is None else other.values,
            names,
            self.required | other.required,
            self.closed or other.closed,
            self.patterned or other.patterned,
            max(self.low, other.low),
            min(self.high, other.high),
        )


def shape_of(node: Any, resolve: Resolve, depth: int = 0) -> Shape:
    """Return what a schema's own keywords and those of its `allOf` say; its unions are left out."""
    if depth > MAX_PARTS or not isinstance(node, dict):
        return Shape()
    shape = _plain_shape(node)
    if isinstance(names := node.get("properties"), dict) and depth < MAX_PARTS:
        found = {name: resolve(one) for name, one in names.items()}
        properties = {
            name: _plain_shape(one) if isinstance(one, dict) else Shape() for name, one in found.items()
        }
        shape = replace(shape, properties=properties)
    for part in node.get("allOf", ()):
        shape = shape.both(shape_of(resolve(part), resolve, depth + 1))
    return shape


def _plain_shape(node: dict[str, Any]) -> Shape:
    """Return what the keywords of a schema say that have no schemas in them."""
    types, values = node.get("type", sorted(TYPES)), _values(node)
    known = frozenset(types if isinstance(types, list) else [types]) & TYPES
    if values is not None:
        known = common_types(known, frozenset(map(type_of, values)))
    return Shape(
        known,
        values,
        required=frozenset(node.get("required", ())),
        closed=node.get("additionalProperties") is False,
        patterned=bool(node.get("patternProperties")),
        low=node.get("minimum", float("-inf")),
        high=node.get("maximum", float("inf")),
    )


def _values(node: Mapping[str, Any]) -> tuple[Any, ...] | None:
    if "const" in node:
        return (node["const"],)
    return tuple(node["enum"]) if isinstance(node.get("enum"), list) else None


def type_of(value: Any) -> str:
    """Return the JSON type of a value; an integer is an `integer`."""
    match value:
        case bool():
            return "boolean"
        case None:
            return "null"
        case str():
            return "string"
        case dict():
            return "object"
        case list():
            return "array"
    return "integer" if float(value).is_integer() else "number"


def common_types(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """Return the types that both sets have; an integer is a number."""
    wide = {**{word: {word} for word in TYPES}, "number": {"number", "integer"}}
    return frozenset.union(frozenset(), *(wide[word] for word in one)) & frozenset().union(
        *(wide[word] for word in other)
    )


def key_of(value: Any) -> str:
    """Return a text that is equal for equal JSON values: 1 and 1.0 are equal, 1 and true are not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, list):
        return f"[{','.join(map(key_of, value))}]"
    if isinstance(value, dict):
        return json.dumps({name: key_of(item) for name, item in value.items()}, sort_keys=True)
    return json.dumps(value)


def is_number(value: Any) -> bool:
    """Return True for a number of JSON."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
