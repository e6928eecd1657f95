"""From bytes to a typed request: JSON, then shape, each with an error that names the place and the value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, from_json

from inference.api.parameters import BY_NAME
from inference.errors import InvalidInput, InvalidJson, Offender

ROOT = "body"
LONGEST_INPUT = 2_000
"""Bytes of an offending value that an error body repeats whole."""
MOST_OFFENDERS = 100
"""Offenders that an error body names: a long array of wrong items would be answered with one longer still."""


class WireModel(BaseModel):
    """A nested value; keys it does not know are tolerated, as the API's own server does."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)


class Request(WireModel):
    """A route's body. Top-level keys beyond the fields were judged before (`extras.py`)."""

    def given(self, name: str) -> bool:
        """Whether the body set the field to something other than null."""
        return name in self.model_fields_set


AnyRequest = TypeVar("AnyRequest", bound=Request)


def limited(name: str) -> Any:
    """A pydantic field with the range and the meaning of the parameter's row."""
    row = BY_NAME[name]
    return Field(ge=row.minimum, le=row.maximum, description=row.meaning)


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body, without the keys whose value is null. Raises `InvalidJson`."""
    try:
        data = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidJson(f"The body is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise InvalidJson(f"The body must be a JSON object, not {_kind(data)}.")
    return {key: value for key, value in data.items() if value is not None}


def validate(shape: type[AnyRequest], data: dict[str, Any]) -> AnyRequest:
    """Raises `InvalidInput` with every offender, up to `MOST_OFFENDERS`."""
    try:
        return shape.model_validate(data)
    except ValidationError as error:
        problems = error.errors(include_url=False)[:MOST_OFFENDERS]
        raise InvalidInput([_offender(problem, data) for problem in problems]) from None


def _offender(problem: ErrorDetails, data: dict[str, Any]) -> Offender:
    path, value = problem["loc"], problem["input"]
    missing = problem["type"] in ("missing", "union_tag_not_found")
    if key := _discriminator(problem):
        # The value as a whole is blamed for the key that tells the members of a union apart.
        path, value = (*path, key), value.get(key, value)
    location = (ROOT, *_steps(path, data, missing=missing))
    return Offender(location, abridged(value), problem["msg"])


def _discriminator(problem: ErrorDetails) -> str | None:
    """The key whose value chooses a member of a union, when that value is at fault."""
    key = str(problem.get("ctx", {}).get("discriminator", ""))
    quoted = len(key) > 2 and key[0] == key[-1] == "'"
    return key[1:-1] if quoted and isinstance(problem["input"], dict) else None


def _steps(path: Sequence[str | int], data: Any, *, missing: bool) -> Iterator[str | int]:
    """The steps of a pydantic location that lead through the data, without the names of union members.

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


def abridged(value: Any) -> Any:
    """The value as an error repeats it: long ones cut, numbers that JSON writers refuse as text."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    try:
        size = len(orjson.dumps(value))
    except TypeError:
        size = LONGEST_INPUT + 1
    if size <= LONGEST_INPUT:
        return value
    text = str(value)
    return text if len(text) <= LONGEST_INPUT else text[:LONGEST_INPUT] + "..."


def _kind(data: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(data), "a number")
