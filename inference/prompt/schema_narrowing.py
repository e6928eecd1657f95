"""Schemas judged by what they ask: keywords without an effect go, others become ones that can be enforced.

Every value of a narrowed schema is a value of the schema it was made of. What no narrowing is known for stays
as it is, for `json_schema.find_problem` to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from inference.errors import Location
from inference.prompt import schema_rules, schema_types
from inference.prompt.json_schema import mapped, subschemas
from inference.prompt.schema_shapes import Shape, shape_of
from inference.prompt.schema_unions import Patch, Plan, Steps, plan_union, union_keyword

DEFINITIONS = frozenset({"$defs", "definitions"})
MAX_ALTERNATIVES = 1_000
"""Alternatives of all unions together that are compared."""
MAX_REFERENCES = 32
"""References to references that are followed."""


@dataclass(frozen=True, slots=True)
class NarrowedSchema:
    """A schema that can be narrower than its origin, and where its parts come from."""

    schema: dict[str, Any]
    origins: Mapping[str, Location]
    """The original location of each definition that was added."""

    def original(self, path: Location, schema: Mapping[str, Any]) -> Location:
        """Return the location in the original schema of a part of this one, or of what holds it."""
        if len(path) > 1 and path[0] in DEFINITIONS and path[1] in self.origins:
            path = (*self.origins[str(path[1])], *path[2:])
        value: Any = schema
        for place, step in enumerate(path):
            if isinstance(value, dict) and step == "anyOf" and step not in value and "oneOf" in value:
                path = (*path[:place], "oneOf", *path[place + 1 :])
            if not _has(value, path[place]):
                return path[:place]
            value = value[path[place]]
        return path


def narrow(schema: dict[str, Any]) -> NarrowedSchema:
    """Return the narrowed schema; the one passed in stays as it is."""
    return _Narrowing(schema).run()


class _Narrowing:
    """The narrowing of one schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._origin = _without_unused(schema)
        self._plans: dict[Location, Plan] = {}
        self._added: dict[str, dict[str, Any]] = {}
        self._origins: dict[str, Location] = {}
        self._names: dict[tuple[Location, str], str] = {}
        self._schema: dict[str, Any] = {}
        self._sequences = 0
        """Arrays that were listed for `uniqueItems`."""

    def run(self) -> NarrowedSchema:
        dynamic = schema_rules.DynamicReferences.of(self._origin)
        self._plan_unions()
        self._schema = mapped(self._origin, lambda _, part: self._apply_rules(dynamic.static(part)))
        self._rebuild_unions()
        if self._added:
            self._schema["$defs"] = {**self._schema.get("$defs", {}), **self._added}
        return NarrowedSchema(self._schema, self._origins)

    def _plan_unions(self) -> None:
        resolve, alternatives = self._resolver(self._origin), 0
        for path, part in subschemas(self._origin):
            if "oneOf" in part and alternatives <= MAX_ALTERNATIVES:
                plan = plan_union(part, resolve)
                alternatives += len(plan or part["oneOf"])
                if plan is not None:
                    self._plans[path] = plan

    def _apply_rules(self, part: dict[str, Any]) -> dict[str, Any]:
        resolve = self._resolver(self._origin)
        part = schema_rules.apply(part, resolve)
        if "uniqueItems" not in part or self._sequences > schema_types.MAX_SEQUENCES:
            return part
        narrowed = schema_types.unique_items(part, resolve)
        self._sequences += len(narrowed.get("enum", ()))
        return narrowed

    def _rebuild_unions(self) -> None:
        resolve = self._resolver(self._schema)
        rebuilt = []
        for path, plan in self._plans.items():
            node = _at(self._schema, path)
            if isinstance(node, dict) and isinstance(node.get("oneOf"), list):
                shape = shape_of(node, resolve)
                rebuilt.append((node, self._branches(node, "oneOf", (), plan, shape)))
        for node, branches in rebuilt:
            del node["oneOf"]
            if "anyOf" in node:
                node["allOf"] = [*node.get("allOf", ()), {"anyOf": branches}]
            else:
                node["anyOf"] = branches

    def _branches(
        self, node: Mapping[str, Any], keyword: str, steps: Steps, plan: Plan, outer: Shape
    ) -> list[Any]:
        """Return the alternatives of a union that the plan leaves, narrowed."""
        found = []
        for index, branch in enumerate(node[keyword]):
            path = (*steps, index)
            if any(kept[: len(path)] == path for kept in plan):
                found.append(self._branch(branch, path, plan, outer))
        return found

    def _branch(self, branch: Any, path: Steps, plan: Plan, outer: Shape) -> Any:
        resolve = self._resolver(self._schema)
        target = resolve(branch)
        if not isinstance(target, dict):
            return branch
        shape = outer.both(shape_of(target, resolve))
        if path in plan:
            return self._patched(branch, target, plan[path], shape)
        keyword = union_keyword(target)
        if keyword is None:
            return branch
        rest = {key: value for key, value in target.items() if key != keyword}
        return {**rest, "anyOf": self._branches(target, keyword, path, plan, shape)}

    def _patched(self, branch: Any, target: dict[str, Any], patch: Patch, shape: Shape) -> Any:
        if patch == Patch():
            return branch
        patched = patch.apply(target, frozenset(shape.properties))
        path = None if target is branch else self._pointer(branch)
        if path is None:
            return patched
        name = self._names.setdefault((path, repr(patch)), f"narrowed {len(self._names)}")
        self._added[name], self._origins[name] = patched, path
        return {"$ref": schema_rules.pointer(("$defs", name))}

    def _pointer(self, branch: Any) -> Location | None:
        """Return the location that a schema which is only a reference leads to."""
        path: Location | None = None
        for _ in range(MAX_REFERENCES):
            if not (isinstance(branch, dict) and "$ref" in branch):
                return path
            path = _path_of(branch["$ref"], self._schema)
            branch = None if path is None else _at(self._schema, path)
        return None

    def _resolver(self, root: dict[str, Any]) -> Callable[[Any], Any]:
        def resolve(schema: Any) -> Any:
            for _ in range(MAX_REFERENCES):
                if not (isinstance(schema, dict) and "$ref" in schema):
                    return schema
                if schema_types.constrains({key: one for key, one in schema.items() if key != "$ref"}):
                    # With keywords beside the reference both apply, which only the library can join.
                    return schema
                path = _path_of(schema["$ref"], root)
                schema = None if path is None else _at(root, path)
            return None

        return resolve


# Definitions that nothing refers to.


def _without_unused(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema without the definitions that no part in use refers to."""
    if not any(word in part.schema for part in subschemas(schema) for word in DEFINITIONS):
        return schema
    used = _used(schema)
    if used is None:
        return schema
    return mapped(schema, lambda path, part: _pruned(path, part, used))


def _used(schema: dict[str, Any]) -> set[Location] | None:
    """Return the locations that references in use lead to, None where one leads by a name."""
    waiting: list[Any] = [schema]
    used: set[Location] = set()
    while waiting:
        for reference in _references(waiting.pop()):
            path = _path_of(reference, schema)
            if path is None:
                return None
            if path not in used:
                used.add(path)
                waiting.append(_at(schema, path))
    return used


def _references(schema: Any) -> Iterator[Any]:
    """Yield the references in a schema, those in definitions left out."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield from (part[word] for word in ("$ref", "$dynamicRef", "$recursiveRef") if word in part)
            waiting += [value for key, value in part.items() if key not in DEFINITIONS]
        elif isinstance(part, list):
            waiting += part


def _pruned(path: Location, part: dict[str, Any], used: set[Location]) -> dict[str, Any]:
    copy = dict(part)
    for word in DEFINITIONS & part.keys():
        if isinstance(part[word], dict):
            size = len(path) + 2
            leads = {found[:size] for found in used}
            copy[word] = {name: one for name, one in part[word].items() if (*path, word, name) in leads}
            if not copy[word]:
                del copy[word]
    return copy


def _path_of(reference: Any, root: Mapping[str, Any]) -> Location | None:
    """Return the location that a JSON pointer in a reference leads to, None for other references."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    path: Location = ()
    value: Any = root
    for step in unquote(reference[1:]).split("/")[1:]:
        name: str | int = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and str(name).isdecimal():
            name = int(name)
        if not _has(value, name):
            return None
        path, value = (*path, name), value[name]
    return path


def _at(schema: Any, path: Location) -> Any:
    for step in path:
        if not _has(schema, step):
            return None
        schema = schema[step]
    return schema


def _has(value: Any, step: str | int) -> bool:
    if isinstance(value, dict):
        return step in value
    return isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value)
