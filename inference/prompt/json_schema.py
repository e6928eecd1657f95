"""The part of JSON Schema that can constrain an answer, and the first problem of a schema beyond it.

An answer constrained by a schema validates against it, so anything that the grammar library cannot enforce is
refused and never ignored, `strict` or not. Keywords that are not JSON Schema's constrain nothing, as its
specification says. Problems not caught here are caught when the schema is compiled; `locate_problem` then
finds their location.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from time import monotonic
from typing import Any, NamedTuple, TypeAlias

from inference.errors import Location

SUPPORTED = (
    ("type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"),
    ("properties", "required", "additionalProperties", "patternProperties", "minProperties", "maxProperties"),
    ("items", "prefixItems", "additionalItems", "minItems", "maxItems"),
    ("minLength", "maxLength", "pattern", "format"),
    ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
)
"""Keywords of any type, of objects, of arrays, of strings, of numbers."""
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
DRAFT_FORMATS = FORMATS | {
    *("idn-email", "idn-hostname", "uri-reference", "iri", "iri-reference", "uri-template"),
    *("json-pointer", "relative-json-pointer", "regex"),
}
"""The formats that a draft of JSON Schema defines; all others are annotations."""
MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions"})
"""Keywords whose value is an object of schemas."""
LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems", "items"})
"""Keywords whose value can be an array of schemas."""
SINGLE = frozenset({"items", "additionalProperties", "additionalItems"})
"""Keywords whose value can be one schema."""
UNSUPPORTED_SINGLE = frozenset(
    {"not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties"}
)
"""Unsupported keywords whose value is one schema."""
MAX_EXACT_INTEGER = 2**53
"""The largest magnitude of integers that the library, which computes in doubles, represents exactly."""
MAX_COUNTS: Mapping[str, int] = {
    "schemas": 5_000,
    "properties": 1_000,
    "enum": 5_000,
    "patternProperties": 40,
}
"""Counts in a whole schema, at most. They compile within 0.2 s; property patterns are compared by pairs."""
MAX_DIGITS = 4
"""Digits of `multipleOf`, at most: the states of its automaton are as many as the number they form."""
MAX_REPEATS = 10_000
"""Repetitions of one part of a pattern, nested counts multiplied: each is a state of its automaton."""
MAX_PROBES = 200
"""Subschemas compiled by themselves in search of the one at fault."""
SEARCH_SECONDS = 1.0
"""Seconds after which that search ends with the smallest subschema found so far."""


class Subschema(NamedTuple):
    """A schema inside a schema, and its location in it."""

    path: Location
    schema: dict[str, Any]


class SchemaProblem(NamedTuple):
    """A part of a schema that cannot be enforced: its location, the value there, and a message."""

    path: Location
    value: Any
    message: str


def subschemas(schema: Mapping[str, Any]) -> Iterator[Subschema]:
    """Yield every schema in a schema, itself first, as they stand in the document; booleans are left out."""
    waiting: list[tuple[Location, Any]] = [((), schema)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            yield Subschema(path, value)
            waiting += reversed([((*path, *steps), inner) for steps, inner in _children(value)])


def _children(schema: Mapping[str, Any]) -> Iterator[tuple[Location, Any]]:
    """Yield the schemas right inside a schema, each with the steps to it."""
    for keyword, value in schema.items():
        if keyword in MAPS and isinstance(value, dict):
            yield from (((keyword, name), inner) for name, inner in value.items())
        elif keyword in LISTS and isinstance(value, list):
            yield from (((keyword, index), inner) for index, inner in enumerate(value))
        elif keyword in SINGLE:
            yield (keyword,), value


Rule: TypeAlias = Callable[[Location, dict[str, Any]], dict[str, Any]]
"""Returns another schema for the one at a location."""


def mapped(
    schema: dict[str, Any], rule: Rule, path: Location = (), *, everywhere: bool = False
) -> dict[str, Any]:
    """Return the schema with the rule applied to every schema in it, the innermost first.

    `everywhere` includes those under unsupported keywords.
    """

    def inner(part: Any, *steps: str | int) -> Any:
        if not isinstance(part, dict):
            return part
        return mapped(part, rule, (*path, *steps), everywhere=everywhere)

    copy = dict(schema)
    for keyword, value in schema.items():
        if isinstance(value, dict) and (keyword in MAPS or (everywhere and keyword == "dependentSchemas")):
            copy[keyword] = {name: inner(one, keyword, name) for name, one in value.items()}
        elif keyword in LISTS and isinstance(value, list):
            copy[keyword] = [inner(one, keyword, index) for index, one in enumerate(value)]
        elif keyword in SINGLE or (everywhere and keyword in UNSUPPORTED_SINGLE):
            copy[keyword] = inner(value, keyword)
    return rule(path, copy)


def find_problem(schema: Mapping[str, Any]) -> SchemaProblem | None:
    """Return the first part of the schema that cannot be enforced or exceeds a limit, None if all is fine."""
    return next(find_problems(schema), None) or find_limit(schema)


def find_problems(schema: Mapping[str, Any]) -> Iterator[SchemaProblem]:
    """Yield every part of the schema that cannot be enforced."""
    for path, part in subschemas(schema):
        for keyword, message in _problems(part):
            yield SchemaProblem((*path, keyword), part[keyword], message)


def find_limit(schema: Mapping[str, Any]) -> SchemaProblem | None:
    """Return the first part at which the schema exceeds a limit, None if it stays within all."""
    counts = dict.fromkeys(MAX_COUNTS, 0)
    for path, part in subschemas(schema):
        for name, most in MAX_COUNTS.items():
            counts[name] += 1 if name == "schemas" else len(part.get(name) or ())
            if counts[name] > most:
                location = (*path, name) if name in part else path
                return SchemaProblem(location, counts[name], f"a schema has at most {most} {name} in all")
    return None


def locate_problem(
    schema: Mapping[str, Any], refusal: Callable[[str], str | None], message: str
) -> SchemaProblem:
    """Return the smallest part that is refused with the same message as the whole: a keyword or a subschema.

    `refusal` compiles the text of a schema and returns the message where that fails.
    """
    shared = {key: schema[key] for key in ("$schema", "$defs", "definitions") if key in schema}
    deadline = monotonic() + SEARCH_SECONDS

    def is_at_fault(part: Mapping[str, Any]) -> bool:
        return monotonic() > deadline or refusal(json.dumps({**shared, **part})) == message

    smallest = Subschema((), dict(schema))
    for _, part in zip(range(MAX_PROBES), subschemas(schema), strict=False):
        inside = part.path[: len(smallest.path)] == smallest.path
        if inside and monotonic() < deadline and is_at_fault(part.schema):
            smallest = part
    # Without its type a schema is of any type, and hardly anything is wrong with it.
    for keyword, value in sorted(smallest.schema.items(), key=lambda item: item[0] == "type"):
        others = {key: other for key, other in smallest.schema.items() if key != keyword}
        if keyword not in shared and not is_at_fault(others):
            return SchemaProblem((*smallest.path, keyword), value, message)
    return SchemaProblem(smallest.path, smallest.schema, message)


def _problems(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the keywords of one schema that cannot be enforced, each with a message."""
    for keyword, value in part.items():
        if keyword in UNSUPPORTED:
            yield keyword, f"{keyword} is not supported in a schema that constrains an answer"
        elif message := _problem(keyword, value, part):
            yield keyword, message


def _problem(keyword: str, value: Any, part: dict[str, Any]) -> str | None:
    match keyword:
        case "format" if _admits_strings(part) and value not in FORMATS:
            return f"format {value} is not supported; {', '.join(sorted(FORMATS))} are"
        case "pattern" if isinstance(value, str):
            return repeats_problem(value)
        case "patternProperties" if isinstance(value, dict):
            return next(filter(None, map(repeats_problem, value)), None)
        case "minProperties" if isinstance(value, int) and value > len(_required(part)) + 1:
            # Properties that the schema does not name can come twice, and JSON parsers keep one of them.
            return "minProperties can exceed the required properties by at most one"
        case "prefixItems" if "additionalItems" in part:
            return "prefixItems and additionalItems do not go together; replace additionalItems by items"
        case "multipleOf" if isinstance(value, (int, float)) and _digits(value) > MAX_DIGITS:
            return f"multipleOf takes a number of at most {MAX_DIGITS} digits"
        case "const" | "enum" | "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return "integers beyond 2^53 are not supported" if _has_inexact_integer(value) else None
    return None


def _admits_strings(part: dict[str, Any]) -> bool:
    types = part.get("type", "string")
    return "string" in (types if isinstance(types, list) else [types])


def _required(part: dict[str, Any]) -> set[str]:
    required = part.get("required")
    return {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()


def _digits(number: float) -> int:
    return len(Decimal(str(number)).normalize().as_tuple().digits)


def _has_inexact_integer(value: Any) -> bool:
    """Return True if an integer somewhere in a JSON value is not exact as a double."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, int) and abs(item) > MAX_EXACT_INTEGER:
            return True
        if isinstance(item, (list, dict)):
            waiting += item.values() if isinstance(item, dict) else item
    return False


REGEX_PART = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*+\\?(?:\]|\Z)|\{\d{1,9}(?:,(\d{0,9}))?\}|[()]|.", re.DOTALL
)
"""An escape, a character class, a count, a parenthesis or any other character of a regex."""


def repeats_problem(pattern: str) -> str | None:
    """Return a message if the counts of a regex, nested ones multiplied, exceed `MOST_REPEATS`, else None."""
    depths, last = [1], 1
    for match in REGEX_PART.finditer(pattern):
        part = match[0]
        if part == "(":
            depths.append(1)
        elif part == ")" and len(depths) > 1:
            last = depths.pop()
            depths[-1] = max(depths[-1], last)
        elif part[0] == "{" and len(part) > 1:
            last *= max(int(number) for number in re.findall(r"\d+", part))
            depths[-1] = max(depths[-1], last)
        else:
            last = 1
        if last > MAX_REPEATS:
            return f"a regex asks for {last} repetitions, at most {MAX_REPEATS} are allowed"
    return None
