"""From bytes to a typed request: JSON, then its type, with errors that name location and value."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from math import isfinite
from typing import Any, ClassVar, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Discriminator, Field, ValidationError
from pydantic_core import ErrorDetails, from_json

from inference.api.json_bounds import check_structure
from inference.api.parameters import BY_NAME, Parameter, of_route
from inference.api.text_inputs import json_texts, undeclared_texts
from inference.contracts import FilteredText, Route
from inference.errors import InvalidInput, InvalidJson, Location, Offender

ROOT = "body"
LONGEST_INPUT = 2_000
"""Bytes of an offending value that an error body repeats whole."""
LONGEST_SHOWN = 60
"""Characters of an offending value that a sentence repeats."""
MOST_OFFENDERS = 100
"""Offenders that an error body names: a long array of wrong items would be answered with one longer still."""


class WireModel(BaseModel):
    """A nested value of a body; its unknown keys are kept for the policy on extra parameters."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)


class Request(WireModel):
    """The body of a route.

    What a stage needs to know of a request is a method here, so that no stage has to tell the types apart.
    Keys beyond the fields were settled before (`pipeline/extra_parameters.py`).
    """

    route: ClassVar[Route]
    text_key: ClassVar[str]
    """The key of the body that holds what a person wrote: where a refusal of the content filter points."""

    @property
    def streamed(self) -> bool:
        """True if the caller wants a stream."""
        return False

    @property
    def constrained(self) -> bool:
        """True if the answer is held to a format, whose grammar takes milliseconds to compile."""
        return False

    @property
    def has_token_ids(self) -> bool:
        """True if a text is sent as token ids, which only the model's tokenizer can read."""
        return False

    def contradictions(self) -> Iterator[Offender]:
        """Yield the values that contradict others of the body."""
        yield from ()

    def filtered_texts(self, decode: Callable[[Sequence[int]], str], /) -> list[list[FilteredText]]:
        """Return the texts of people and tools, a list for each prompt; `decode` reads token ids."""
        raise NotImplementedError

    def further_texts(self, *nested: Any) -> list[FilteredText]:
        """Return the texts under keys of the body, and of `nested` values in it, that no type declares.

        An endpoint may be sent them, where a card takes any extras.
        """
        texts = list(json_texts(self.model_extra or {}))
        texts += [text for value in nested for text in undeclared_texts(value)]
        return [FilteredText("\n".join(texts))] if texts else []

    def image_urls(self) -> list[tuple[Location, str]]:
        """Return the URLs of images that stand among texts, each with its location."""
        return []

    def audio_locations(self) -> list[Location]:
        """Return the locations of audio."""
        return []

    def input_kinds(self) -> Iterator[tuple[Location, str]]:
        """Yield the location and kind of every input that a card may have to declare, plain text aside."""
        yield from ()


AnyRequest = TypeVar("AnyRequest", bound=Request)


def either(kind: type, tag: str, other: str) -> Discriminator:
    """Return a discriminator that tags values of a JSON type, and all others with the other tag."""
    return Discriminator(lambda value: tag if isinstance(value, kind) else other)


def limited(name: str) -> Any:
    """Return a pydantic field with the range and the meaning of the parameter's row."""
    row = BY_NAME[name]
    return Field(ge=row.minimum, le=row.maximum, description=row.meaning)


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body, without the keys whose value is null.

    A byte order mark before it is passed over, as RFC 8259 allows: editors and shells of Windows write one.
    Raises `RequestTooLarge` for a body that would take long to parse, `InvalidJson`.
    """
    check_structure(body)
    try:
        data = from_json(body.removeprefix(BOM_UTF8), allow_inf_nan=False)
    except ValueError as error:
        raise InvalidJson(f"The body is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise InvalidJson(f"The body must be a JSON object, not {_kind(data)}.")
    return {key: value for key, value in data.items() if value is not None}


def validate(request_type: type[AnyRequest], data: dict[str, Any]) -> AnyRequest:
    """Return the typed request. Raises `InvalidInput` with every offender, up to `MOST_OFFENDERS`."""
    check_sizes(data, request_type.route)
    try:
        request = request_type.model_validate(data)
    except ValidationError as error:
        problems = error.errors(include_url=False)[:MOST_OFFENDERS]
        raise InvalidInput([_offender(problem, data) for problem in problems]) from None
    if offenders := list(islice(request.contradictions(), MOST_OFFENDERS)):
        raise InvalidInput(offenders)
    return request


def nested_extras(value: Any, data: Any, loc: Location = (ROOT,)) -> Iterator[tuple[Location, Any]]:
    """Yield the location and value of each unknown key below the root of a request, in the body's sequence.

    `data` is the body, which `value` was made of. Null counts as absent. Values without a type of their own,
    such as JSON Schemas and arguments, may have any keys.
    """
    if isinstance(value, list) and value and isinstance(value[0], BaseModel):
        for index, item in enumerate(value):
            yield from nested_extras(item, data[index], (*loc, index))
    elif isinstance(value, BaseModel):
        unknown = value.model_extra or {}
        for name, item in data.items():
            if name not in unknown:
                if isinstance(item, (dict, list)):
                    yield from nested_extras(getattr(value, name, None), item, (*loc, name))
            elif item is not None and len(loc) > 1:
                yield (*loc, name), item


def without(body: dict[str, Any], locations: Iterable[Location]) -> dict[str, Any]:
    """Return a copy of a body without the keys at these locations."""
    copy: dict[str, Any] = {**body}
    copies = {id(copy)}
    for loc in locations:
        parent: Any = copy
        for step in loc[1:-1]:
            if id(parent[step]) not in copies:
                parent[step] = parent[step].copy()
                copies.add(id(parent[step]))
            parent = parent[step]
        del parent[loc[-1]]
    return copy


def path_of(loc: Location) -> str:
    """Return a location as clients write it: `messages[0].content`."""
    return Offender(loc, None, "").target


def check_sizes(data: dict[str, Any], route: Route) -> None:
    """Raise `InvalidInput` for values with more items or characters than the rows of the route allow."""
    rows = [row for row in of_route(route) if row.name in data]
    if offenders := [offender for row in rows for offender in _oversize(row, data[row.name])]:
        raise InvalidInput(offenders)


def _oversize(row: Parameter, value: Any) -> Iterator[Offender]:
    values, characters = size_of(value)
    for count, most, unit, code in (
        (values, row.max_values, "values", "array_above_max_length"),
        (characters, row.max_characters, "characters", "string_above_max_length"),
    ):
        if most is not None and count > most:
            message = f"{row.name} has {count} {unit}, at most {most} are allowed"
            yield Offender((ROOT, row.name), abridged(value), message, code)


def size_of(value: Any) -> tuple[int, int]:
    """Return the values and keys in a JSON value, and the characters of its texts and keys."""
    values, characters, waiting = 0, 0, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            characters += len(item)
        elif isinstance(item, dict):
            values += len(item)
            characters += sum(map(len, item))
            waiting += item.values()
        elif isinstance(item, list):
            values += len(item)
            waiting += item
    return values, characters


def _offender(problem: ErrorDetails, data: dict[str, Any]) -> Offender:
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
        return _kind(value)
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST_SHOWN else _kind(value)


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


def _kind(data: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(data), "a number")
