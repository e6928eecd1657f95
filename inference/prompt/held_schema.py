"""A client's schema as generation holds it: whole where it is `strict`, else as much of it as can be held."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeAlias

from inference.errors import Location
from inference.prompt.json_schema import (
    DRAFT_FORMATS,
    SEARCH_SECONDS,
    SchemaProblem,
    find_limit,
    find_problems,
    locate_problem,
)
from inference.prompt.schema_narrowing import NarrowedSchema, narrow
from inference.prompt.schema_types import with_right_types

MAX_CHARACTERS = 100_000
"""Characters of a schema: the longest source that the compiler of grammars takes."""
MAX_MENDS = 16
"""Keywords left out of one schema because the compiler cannot enforce them."""

Refusal: TypeAlias = Callable[[dict[str, Any]], str | None]
"""Compiles a schema and returns the message where that fails."""


@dataclass(frozen=True, slots=True)
class HeldSchema:
    """A schema that can be enforced, and the locations in its origin that it does not enforce."""

    schema: dict[str, Any]
    unheld: tuple[Location, ...] = ()


class SchemaRefused(Exception):
    """A strict schema that cannot be enforced, with the part at fault."""

    def __init__(self, problem: SchemaProblem, loc: Location = ()) -> None:
        """Take the problem, and the location of the schema in the request."""
        super().__init__(problem.message)
        self.problem = problem
        self.loc = loc


def hold(schema: dict[str, Any], *, strict: bool) -> HeldSchema:
    """Return the schema as far as it can be enforced, without compiling it.

    Raises `SchemaRefused` for a strict one of which a part cannot.
    """
    return _Holding(schema, strict=strict).run(None)


def hold_compiled(schema: dict[str, Any], refusal: Refusal, *, strict: bool) -> HeldSchema:
    """Return the schema as far as the compiler can enforce it. Raises as `hold`."""
    return _Holding(schema, strict=strict).run(refusal)


class _Holding:
    def __init__(self, schema: dict[str, Any], *, strict: bool) -> None:
        self._origin = schema
        self._strict = strict
        self._unheld: dict[Location, None] = {}

    def run(self, refusal: Refusal | None) -> HeldSchema:
        length = len(json.dumps(self._origin, ensure_ascii=False))
        if length > MAX_CHARACTERS:
            return self._nothing(length, f"a schema has at most {MAX_CHARACTERS} characters, not {length}")
        typed, problems = with_right_types(self._origin)
        for problem in problems:
            self._leave_out(problem.path, problem.value, problem.message)
        if exceeded := find_limit(typed):
            return self._nothing(exceeded.value, exceeded.message, exceeded.path)
        narrowed = narrow(typed)
        held = self._without_problems(narrowed)
        if refusal is not None:
            held = self._compiled(NarrowedSchema(held, narrowed.origins), refusal)
        return HeldSchema(held, tuple(self._unheld))

    def _without_problems(self, narrowed: NarrowedSchema) -> dict[str, Any]:
        held = narrowed.schema
        for problem in list(find_problems(held)):
            if not (problem.path[-1] == "format" and problem.value not in DRAFT_FORMATS):
                self._leave_out(narrowed.original(problem.path, self._origin), problem.value, problem.message)
            held = _mended(held, problem.path)
        return held

    def _compiled(self, narrowed: NarrowedSchema, refusal: Refusal) -> dict[str, Any]:
        deadline = monotonic() + SEARCH_SECONDS
        held = narrowed.schema
        for _ in range(MAX_MENDS):
            message = refusal(held)
            if message is None:
                return held
            if monotonic() > deadline:
                break
            problem = locate_problem(held, lambda text: refusal(json.loads(text)), message)
            path = NarrowedSchema(held, narrowed.origins).original(problem.path, self._origin)
            self._leave_out(path, problem.value, _described(problem))
            held = _mended(held, problem.path)
        return self._nothing(None, "it cannot be enforced").schema

    def _leave_out(self, path: Location, value: Any, message: str) -> None:
        if self._strict:
            raise SchemaRefused(SchemaProblem(path, value, message))
        self._unheld[path] = None

    def _nothing(self, value: Any, message: str, path: Location = ()) -> HeldSchema:
        """Return a schema of which only the type is held."""
        self._leave_out(path, value, message)
        kept = self._origin.get("type")
        return HeldSchema({"type": "object"} if kept == "object" else {}, (path,))


def _mended(schema: dict[str, Any], path: Location) -> dict[str, Any]:
    """Return the schema without a keyword, or with anything in place of a part; `oneOf` becomes `anyOf`."""
    if not path:
        return {}
    *steps, last = path
    copy = dict(schema)
    node: Any = copy
    for step in steps:
        node[step] = node[step].copy()
        node = node[step]
    if isinstance(node, list) or (steps and isinstance(last, str) and _is_name(steps)):
        node[last] = {}
    elif last == "oneOf" and "anyOf" not in node and node["oneOf"]:
        node["anyOf"] = node.pop("oneOf")
    else:
        del node[last]
    return copy


def _is_name(steps: list[str | int]) -> bool:
    """Return True if the steps lead to a map of schemas, whose keys are names."""
    return bool(steps) and _names_follow(tuple(steps))


def _names_follow(steps: Location) -> bool:
    expecting = False
    for step in steps:
        expecting = not expecting and step in ("properties", "patternProperties", "$defs", "definitions")
    return expecting


def _described(problem: SchemaProblem) -> str:
    """Return the sentence about a part that the compiler refuses, in words of its keyword."""
    word = str(problem.path[-1]) if problem.path else ""
    if word in MESSAGES:
        return MESSAGES[word]
    name = word or "the schema"
    if "nsatisfiable" in problem.message or "no text" in problem.message:
        return f"{name} leaves no value that matches the whole schema"
    return f"{name} cannot be enforced with this value"


MESSAGES = {
    "$ref": "$ref must lead to a part of the same schema, such as #/$defs/name",
    "oneOf": "the alternatives of oneOf overlap: a value could match several; give each a property with a "
    "constant of its own, or use anyOf",
    "pattern": "pattern is no regular expression that can be enforced: look-around, back references and word "
    "boundaries cannot be",
    "patternProperties": "patternProperties cannot be enforced: each pattern must be a regular expression "
    "without look-around, and no name may match two",
    "enum": "enum has no value that matches the whole schema",
    "const": "const does not match the whole schema",
}
