"""Offenders in a body: their locations, OpenAI's codes and the sentences about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import orjson
from pydantic_core import ErrorDetails

from inference.errors import CONTEXT_LENGTH_EXCEEDED, Location, Offender, ParameterNotSupported

ROOT = "body"
LONGEST_INPUT = 2_000
"""Bytes of an offending value that an error body repeats whole."""
LONGEST_SHOWN = 60
"""Characters of an offending value that a sentence repeats."""
MOST_OFFENDERS = 100
"""Offenders that an error body names: a long array of wrong items would be answered with one longer still."""


def offender_of(problem: ErrorDetails, data: dict[str, Any]) -> Offender:
    """Return the offender that an error of pydantic is about, in the words of this endpoint."""
    path, value = problem["loc"], problem["input"]
    missing = problem["type"] in ("missing", "union_tag_not_found")
    if key := _discriminator(problem):
        # The value as a whole is blamed for the key that tells the members of a union apart.
        path, value = (*path, key), value.get(key, value)
    location = (ROOT, *_steps(path, data, missing=missing))
    code, message = _violation(problem, value)
    return Offender(location, abridged(value), message, code)


TYPES: Mapping[str, str] = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "a boolean",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "text_or_tokens": "a string, an array of strings, or token ids",
}
"""The JSON type that a value of another one should have, by pydantic's type of the error."""
MEMBERS: Mapping[str | int, str] = {
    "<text>": "a string or an array of parts",
    "<texts>": "a string or an array of strings",
    "<json>": "a string or an object",
}
"""The types of a union, by the tag of the member that pydantic tried: it names only that member's type."""


def _violation(problem: ErrorDetails, value: Any) -> tuple[str, str]:
    """Return OpenAI's code and a sentence for an error of pydantic, whose own sentence is the last resort."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in TYPES:
        wanted = MEMBERS.get(problem["loc"][-1] if problem["loc"] else "", TYPES[kind])
        return "invalid_type", f"must be {wanted}, not {_shown(value)}"
    match kind:
        case "missing" | "union_tag_not_found":
            return "missing_required_parameter", "is required, but missing"
        case "literal_error" | "union_tag_invalid":
            allowed = context.get("expected", context.get("expected_tags"))
            code = "invalid_value" if isinstance(value, str) else "invalid_type"
            return code, f"must be one of {allowed}, not {_shown(value)}"
        case "string_pattern_mismatch":
            return "invalid_value", f"{_shown(value)} does not match {context['pattern']}"
        case "less_than_equal":
            limit = context["le"]
            return _range_code("above_max", limit), f"{_shown(value)} is more than {_number(limit)}"
        case "greater_than_equal":
            limit = context["ge"]
            return _range_code("below_min", limit), f"{_shown(value)} is less than {_number(limit)}"
        case "too_short" | "string_too_short" | "too_long" | "string_too_long":
            return _length_violation(kind, context, len(value))
    return "invalid_value", problem["msg"]


def _range_code(side: str, limit: float) -> str:
    # Pydantic repeats the limits of a number as floats, those of an integer as integers.
    return f"{'decimal' if isinstance(limit, float) else 'integer'}_{side}_value"


def _length_violation(kind: str, context: Mapping[str, Any], length: int) -> tuple[str, str]:
    """Return the code and the sentence for an array or a string of a length that is not allowed."""
    name, unit = ("string", "characters") if kind.startswith("string") else ("array", "items")
    if kind.endswith("too_long"):
        return f"{name}_above_max_length", f"has {length} {unit}, more than {context['max_length']}"
    if length == 0:
        return f"empty_{name}", "must not be empty"
    return f"{name}_below_min_length", f"has {length} {unit}, less than {context['min_length']}"


def _number(limit: float) -> str:
    return str(int(limit)) if limit == int(limit) else str(limit)


def _shown(value: Any) -> str:
    """Return a value as a sentence repeats it: short texts and numbers themselves, of others the type."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return kind_of(value)
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST_SHOWN else kind_of(value)


def _discriminator(problem: ErrorDetails) -> str | None:
    """Return the key whose value chooses a member of a union, when that value is at fault."""
    key = str(problem.get("ctx", {}).get("discriminator", ""))
    quoted = len(key) > 2 and key[0] == key[-1] == "'"
    return key[1:-1] if quoted and isinstance(problem["input"], dict) else None


def _steps(path: Sequence[str | int], data: Any, *, missing: bool) -> Iterator[str | int]:
    """Yield the steps of a pydantic location that lead through the data, without the names of union members.

    Those are written `<text>`, so that a key of the data is not taken for one.
    """
    for position, step in enumerate(path):
        inside = _inside(data, step)
        if inside is not None:
            yield step
            data = inside[0]
        elif missing and position == len(path) - 1:
            yield step


def _inside(data: Any, step: str | int) -> tuple[Any] | None:
    if isinstance(data, dict) and step in data:
        return (data[step],)
    if isinstance(data, list) and isinstance(step, int) and step < len(data):
        return (data[step],)
    return None


def value_at(body: Any, loc: Location) -> Any:
    """Return the value of a body at a location that exists in it."""
    value = body
    for step in loc[1:]:
        value = value[step]
    return value


def abridged(value: Any) -> Any:
    """Return a value as an error repeats it: long ones cut, numbers that JSON cannot write as text.

    No more of a value is looked at than is shown.
    """
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    text = _start_of(value)
    if len(text) <= LONGEST_INPUT:
        try:
            if len(orjson.dumps(value)) <= LONGEST_INPUT:
                return value
        except TypeError:
            pass
        return text
    return text[:LONGEST_INPUT] + "..."


def _start_of(value: Any) -> str:
    """Return `str(value)`, or more than `LONGEST_INPUT` characters of its start."""
    if isinstance(value, str):
        return value[: LONGEST_INPUT + 1]
    parts, length = [], 0
    for part in _pieces(value):
        parts.append(part)
        length += len(part)
        if length > LONGEST_INPUT:
            break
    return "".join(parts)


def _pieces(value: Any) -> Iterator[str]:
    """Yield the pieces of `str` of a JSON value that is no text, long texts in it cut."""
    if isinstance(value, str):
        yield repr(value[: LONGEST_INPUT + 1])
    elif isinstance(value, dict):
        yield from _listed("{}", ((f"{key[: LONGEST_INPUT + 1]!r}: ", item) for key, item in value.items()))
    elif isinstance(value, (list, tuple)):
        yield from _listed("()" if isinstance(value, tuple) else "[]", (("", item) for item in value))
    else:
        yield str(value)


def _listed(brackets: str, items: Iterable[tuple[str, Any]]) -> Iterator[str]:
    yield brackets[0]
    for number, (key, item) in enumerate(items):
        yield f"{', ' if number else ''}{key}"
        yield from _pieces(item)
    yield brackets[1]


def kind_of(data: Any) -> str:
    """Return the JSON type of a value, with its article."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(data), "a number")


def context_length_exceeded(
    offenders: Sequence[Offender], *, context: int, tokens: int | None = None
) -> ParameterNotSupported:
    """Return the refusal of texts that are longer than the context; the first has so many `tokens`.

    None stands for texts with so many characters that they are not tokenised.

    Its message has OpenAI's wording, by which LiteLLM and others know on every path that the conversation is
    to be shortened, and OpenAI's code, for which LangChain looks in the message, all that `openai` shows.
    """
    target, found = offenders[0].target, str(tokens or f"more than {context}")
    message = (
        f"This model's maximum context length is {context} tokens. However, your {target} resulted in "
        f"{found} tokens. Please reduce the length of the {target} ({CONTEXT_LENGTH_EXCEEDED})."
    )
    located = [replace(offender, code=CONTEXT_LENGTH_EXCEEDED) for offender in offenders]
    return ParameterNotSupported(located, message)
