"""`oneOf` as alternatives of which a value can match only one: which parts of each a model may write.

A value must match exactly one alternative. A plan narrows each alternative so that its values match none of
the others: a tag is always written, properties that only others have are left out, values that others have
too are not written. Alternatives without a known narrowing are left out. Narrowing reads the schema as it
was sent: all that is known about an alternative holds for all of its values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeAlias

from inference.prompt.schema_shapes import (
    Resolve,
    Shape,
    common_types,
    is_number,
    key_of,
    shape_of,
    type_of,
)

Steps: TypeAlias = tuple[int, ...]
"""The indexes that lead from a union through the unions in it to one alternative."""

MAX_ALTERNATIVES = 200
"""Alternatives of one union that are compared by pairs."""
MAX_DEPTH = 8
"""Unions inside unions."""


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


# Alternatives.


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
    in_bounds = not is_number(value) or other.low <= value <= other.high
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
