"""`oneOf` as alternatives of which a value can match only one: which parts of each a model may write.

A value must match exactly one alternative. A plan narrows each alternative so that its values match none of
the others: a tag is always written, properties that only others have are left out, values that others have
too are not written. Alternatives without a known narrowing are left out. Narrowing reads the schema as it
was sent: all that is known about an alternative holds for all of its values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeAlias

Steps: TypeAlias = tuple[int, ...]
"""The indexes that lead from a union through the unions in it to one alternative."""
Resolve: TypeAlias = Callable[[Any], Any]
"""Follows the references of a schema to the one they lead to, None where they lead nowhere."""

TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
MAX_ALTERNATIVES = 200
"""Alternatives of one union that are compared by pairs."""
MAX_DEPTH = 8
"""Unions inside unions."""
MAX_PARTS = 2
"""`allOf`s inside `allOf`s that are looked into."""


@dataclass(frozen=True, slots=True)
class Patch:
    """Additions to an alternative that make it narrower."""

    required: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    """Properties that are not written."""
    closed: bool = False
    """True if only the properties that the alternative names are written."""
    typed: bool = False
    """True if only objects are written."""
    values: tuple[Any, ...] | None = None
    """The values that are written, where only some may be."""

    def apply(self, schema: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
        """Return the narrower schema; `names` are those of its properties, also of inherited ones."""
        patched = {**schema, "type": "object"} if self.typed else dict(schema)
        if self.values is not None:
            patched.pop("const", None)
            patched["enum"] = list(self.values)
        if self.required:
            known = schema.get("required")
            listed = known if isinstance(known, list) else []
            patched["required"] = [*listed, *sorted(self.required - set(map(str, listed)))]
        if self.closed or self.absent:
            others = dict.fromkeys(sorted(names), True) if self.closed else {}
            patched["properties"] = {**others, **schema.get("properties", {})}
            patched["properties"] |= dict.fromkeys(sorted(self.absent), False)
        if self.closed:
            patched["additionalProperties"] = False
        return patched


Plan: TypeAlias = Mapping[Steps, Patch]
"""The narrowing of each alternative that remains."""


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


@dataclass(frozen=True, slots=True)
class Alternative:
    """One alternative of a union, perhaps of a union inside it."""

    steps: Steps
    kinds: tuple[str, ...]
    """The keywords of the unions that the steps lead through."""
    shape: Shape


def plan_union(node: Mapping[str, Any], resolve: Resolve) -> Plan | None:
    """Return the plan of a schema's `oneOf`, None where no alternative is known to match alone."""
    every = _alternatives(node, "oneOf", (), (), shape_of(node, resolve), resolve)
    found = list(islice(every, MAX_ALTERNATIVES + 1))
    if not found or len(found) > MAX_ALTERNATIVES:
        return None
    plan = {one.steps: patch for one in found if (patch := _patch(one, found)) is not None}
    return plan or None


def union_keyword(node: Any) -> str | None:
    """Return the keyword of the union that a schema is, None where it is none or two."""
    present = [word for word in ("oneOf", "anyOf") if isinstance(node, dict) and node.get(word)]
    return present[0] if len(present) == 1 and isinstance(node[present[0]], list) else None


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


# Shapes.


def _alternatives(
    node: Any, keyword: str, steps: Steps, kinds: tuple[str, ...], outer: Shape, resolve: Resolve
) -> Iterator[Alternative]:
    for index, branch in enumerate(node[keyword]):
        target = resolve(branch)
        if target is None or target is True:
            target = {}
        if target is False:
            continue
        here, path = outer.both(shape_of(target, resolve)), (*steps, index)
        inner = union_keyword(target)
        if inner is None or len(path) >= MAX_DEPTH:
            yield Alternative(path, (*kinds, keyword), here)
        else:
            yield from _alternatives(target, inner, path, (*kinds, keyword), here, resolve)


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


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


# Narrowing.


def _patch(one: Alternative, found: list[Alternative]) -> Patch | None:
    """Return the narrowing by which an alternative's values match no other, None where none is known."""
    patch, shape = Patch(), one.shape
    for other in found:
        if other is one or not _must_differ(one, other):
            continue
        if (change := _narrowed(shape, other.shape)) is None:
            return None
        patch = _joined(patch, change)
        shape = replace(
            shape,
            types=frozenset({"object"}) if patch.typed else shape.types,
            required=shape.required | patch.required,
            closed=shape.closed or patch.closed,
            values=shape.values if patch.values is None else patch.values,
        )
    impossible = patch.required & patch.absent or (patch.values is not None and not patch.values)
    return None if impossible else patch


def _must_differ(one: Alternative, other: Alternative) -> bool:
    """Return True if the two meet first in a `oneOf`."""
    for place, (mine, its) in enumerate(zip(one.steps, other.steps, strict=False)):
        if mine != its:
            return one.kinds[place] == "oneOf"
    return False


def _joined(patch: Patch, change: Patch) -> Patch:
    return Patch(
        patch.required | change.required,
        patch.absent | change.absent,
        patch.closed or change.closed,
        patch.typed or change.typed,
        change.values if change.values is not None else patch.values,
    )


def _narrowed(shape: Shape, other: Shape) -> Patch | None:
    """Return the narrowing of a shape that keeps its values out of the other, None where none is known."""
    common = common_types(shape.types, other.types)
    if not common or _apart(shape, other, common):
        return Patch()
    if shape.values is not None:
        kept = tuple(value for value in shape.values if not _may_match(value, other))
        return Patch(values=kept) if kept else None
    if "object" not in common or (len(common) > 1 and not shape.properties):
        return None
    change = _narrowed_object(shape, other)
    return None if change is None else replace(change, typed=len(common) > 1)


def _apart(shape: Shape, other: Shape, common: frozenset[str]) -> bool:
    if shape.values is not None and other.values is not None:
        return not {*map(key_of, shape.values)} & {*map(key_of, other.values)}
    return common <= {"number", "integer"} and (shape.high < other.low or other.high < shape.low)


def _may_match(value: Any, other: Shape) -> bool:
    if other.values is not None:
        return key_of(value) in map(key_of, other.values)
    kind = frozenset({type_of(value)})
    in_bounds = not _is_number(value) or other.low <= value <= other.high
    return bool(common_types(kind, other.types)) and in_bounds


def _narrowed_object(shape: Shape, other: Shape) -> Patch | None:
    """Return the narrowing of an object, the one that takes least: a tag, a property, openness."""
    tags = [name for name, one in shape.properties.items() if _differs(one, other.properties.get(name))]
    own = [name for name in shape.properties if other.closed and not other.patterned]
    own = [name for name in own if name not in other.properties]
    missing = sorted(name for name in other.required - shape.required if name not in shape.properties)
    if any(name in shape.required for name in (*tags, *own)) or (missing and _is_shut(shape)):
        return Patch()
    if tags:
        return Patch(required=frozenset(tags[:1]))
    if missing and not shape.patterned and shape.properties:
        return Patch(closed=True)
    if own:
        return Patch(required=frozenset(own[:1]))
    if left := sorted(other.required - shape.required):
        return Patch(absent=frozenset(left[:1]))
    return None


def _is_shut(shape: Shape) -> bool:
    return shape.closed and not shape.patterned


def _differs(one: Shape, other: Shape | None) -> bool:
    """Return True if no value is of both shapes."""
    if other is None:
        return False
    common = common_types(one.types, other.types)
    return not common or _apart(one, other, common)
