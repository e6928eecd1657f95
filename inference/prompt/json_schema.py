"""What an answer can be held to of JSON Schema: every part of a schema looked at, the first offence named.

An answer that is held to a schema validates against it, so what the grammar library cannot enforce is refused
and never ignored, `strict` or not. Keywords that no draft knows ask for nothing, as JSON Schema says. What is
not caught here is caught when the schema is compiled; `culprit` then finds the place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from time import monotonic
from typing import Any, NamedTuple

from inference.errors import Location

SUPPORTED = (
    ("type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"),
    ("properties", "required", "additionalProperties", "patternProperties", "minProperties", "maxProperties"),
    ("items", "prefixItems", "additionalItems", "minItems", "maxItems"),
    ("minLength", "maxLength", "pattern", "format"),
    ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
)
"""Of any type, of objects, of arrays, of strings, of numbers."""
UNSUPPORTED = frozenset(
    {
        *("not", "if", "then", "else", "uniqueItems", "contains", "minContains", "maxContains"),
        *("dependentRequired", "dependentSchemas", "dependencies", "propertyNames"),
        *("unevaluatedProperties", "unevaluatedItems"),
        *("$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"),
    }
)
FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"}
)
MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions"})
"""Keywords whose value holds a schema for each key."""
LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems", "items"})
SINGLE = frozenset({"items", "additionalProperties", "additionalItems"})
EXACT = 2**53
"""Beyond it the library's numbers, which are doubles, are not the schema's."""
MOST: Mapping[str, int] = {"schemas": 5_000, "properties": 1_000, "enum": 5_000, "patternProperties": 40}
"""In a whole schema. They compile within 0.2 s; patterns of property names are compared by pairs."""
MOST_DIGITS = 4
"""Of `multipleOf`: the states of its automaton are as many as the number's digits say."""
MOST_REPEATS = 10_000
"""How often a pattern may ask for one thing, nested counts multiplied: each counts as a state."""
MOST_TRIED = 200
"""Parts that are compiled by themselves in search of the one at fault."""
PATIENCE = 1.0
"""Seconds after which that search ends with the smallest part found so far."""


class Part(NamedTuple):
    """A schema inside a schema, and its place in it."""

    path: Location
    schema: dict[str, Any]


class Offence(NamedTuple):
    """What cannot be honoured: its place in the schema, the value there, and a sentence."""

    path: Location
    value: Any
    message: str


def parts(schema: Mapping[str, Any]) -> Iterator[Part]:
    """Every schema in a schema, itself first, in the document's order; schemas that are booleans are none."""
    waiting: list[tuple[Location, Any]] = [((), schema)]
    while waiting:
        path, found = waiting.pop()
        if isinstance(found, dict):
            yield Part(path, found)
            waiting += reversed([((*path, *steps), inner) for steps, inner in _inside(found)])


def _inside(schema: dict[str, Any]) -> Iterator[tuple[Location, Any]]:
    for keyword, value in schema.items():
        if keyword in MAPS and isinstance(value, dict):
            yield from (((keyword, name), inner) for name, inner in value.items())
        elif keyword in LISTS and isinstance(value, list):
            yield from (((keyword, index), inner) for index, inner in enumerate(value))
        elif keyword in SINGLE:
            yield (keyword,), value


def offence(schema: Mapping[str, Any]) -> Offence | None:
    """The first thing in the schema that an answer cannot be held to, or that is too much of it."""
    counts = dict.fromkeys(MOST, 0)
    for path, part in parts(schema):
        for keyword, message in _problems(part):
            return Offence((*path, keyword), part[keyword], message)
        for name, most in MOST.items():
            counts[name] += 1 if name == "schemas" else len(part.get(name) or ())
            if counts[name] > most:
                place = (*path, name) if name in part else path
                return Offence(place, counts[name], f"a schema has at most {most} {name} in all")
    return None


def culprit(schema: Mapping[str, Any], refused: Callable[[str], str | None], message: str) -> Offence:
    """The smallest part that is refused with the same message as the whole, and its keyword if one is it.

    `refused` compiles the text of a schema and gives the message when it cannot.
    """
    shared = {key: schema[key] for key in ("$schema", "$defs", "definitions") if key in schema}
    deadline = monotonic() + PATIENCE

    def at_fault(part: Mapping[str, Any]) -> bool:
        return monotonic() > deadline or refused(json.dumps({**shared, **part})) == message

    guilty = Part((), dict(schema))
    for _, part in zip(range(MOST_TRIED), parts(schema), strict=False):
        inside = part.path[: len(guilty.path)] == guilty.path
        if inside and monotonic() < deadline and at_fault(part.schema):
            guilty = part
    # Without its type a schema is of any type, and hardly anything is wrong with it.
    for keyword, value in sorted(guilty.schema.items(), key=lambda item: item[0] == "type"):
        others = {key: other for key, other in guilty.schema.items() if key != keyword}
        if keyword not in shared and not at_fault(others):
            return Offence((*guilty.path, keyword), value, message)
    return Offence(guilty.path, guilty.schema, message)


def _problems(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Keywords of one schema that cannot be enforced, each with a sentence."""
    for keyword, value in part.items():
        if keyword in UNSUPPORTED:
            yield keyword, f"{keyword} is not supported in a schema that answers are held to"
        elif message := _problem(keyword, value, part):
            yield keyword, message


def _problem(keyword: str, value: Any, part: dict[str, Any]) -> str | None:
    match keyword:
        case "format" if _says_text(part) and value not in FORMATS:
            return f"format {value} is not supported; {', '.join(sorted(FORMATS))} are"
        case "pattern" if isinstance(value, str):
            return repeats_problem(value)
        case "patternProperties" if isinstance(value, dict):
            return next(filter(None, map(repeats_problem, value)), None)
        case "minProperties" if isinstance(value, int) and value > len(_names(part)) + 1:
            # Names that the schema leaves open can come twice, and readers keep one of them.
            return "minProperties can exceed the required properties by one only"
        case "prefixItems" if "additionalItems" in part:
            return "prefixItems and additionalItems belong to different drafts"
        case "multipleOf" if isinstance(value, (int, float)) and _digits(value) > MOST_DIGITS:
            return f"multipleOf takes a number of at most {MOST_DIGITS} digits"
        case "const" | "enum" | "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return "integers beyond 2^53 are not supported" if _inexact(value) else None
    return None


def _says_text(part: dict[str, Any]) -> bool:
    kinds = part.get("type", "string")
    return "string" in (kinds if isinstance(kinds, list) else [kinds])


def _names(part: dict[str, Any]) -> set[str]:
    required = part.get("required")
    return {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()


def _digits(number: float) -> int:
    return len(Decimal(str(number)).normalize().as_tuple().digits)


def _inexact(value: Any) -> bool:
    """Whether an integer somewhere in a JSON value is beyond what a double holds exactly."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, int) and abs(found) > EXACT:
            return True
        if isinstance(found, (list, dict)):
            waiting += found.values() if isinstance(found, dict) else found
    return False


STEP = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*+\\?(?:\]|\Z)|\{\d{1,9}(?:,(\d{0,9}))?\}|[()]|.", re.DOTALL)


def repeats_problem(pattern: str) -> str | None:
    """A sentence when the counts of a regex, nested ones multiplied, go beyond `MOST_REPEATS`."""
    depths, last = [1], 1
    for found in STEP.finditer(pattern):
        step = found[0]
        if step == "(":
            depths.append(1)
        elif step == ")" and len(depths) > 1:
            last = depths.pop()
            depths[-1] = max(depths[-1], last)
        elif step[0] == "{" and len(step) > 1:
            last *= max(int(number) for number in re.findall(r"\d+", step))
            depths[-1] = max(depths[-1], last)
        else:
            last = 1
        if last > MOST_REPEATS:
            return f"a regex asks for {last} repetitions, at most {MOST_REPEATS} are taken"
    return None
