"""From bytes to a typed request: JSON, then its type, with errors that name location and value."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, ValidationError
from pydantic_core import from_json

from inference.api.offenders import MOST_OFFENDERS, ROOT, abridged, kind_of, offender_of
from inference.api.parameters import BY_NAME, Parameter, of_route
from inference.api.text_inputs import json_texts, undeclared_texts
from inference.contracts import FilteredText, Route
from inference.errors import InvalidInput, InvalidJson, Location, Offender, RequestTooLarge


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
        raise InvalidJson(f"The body must be a JSON object, not {kind_of(data)}.")
    return {key: value for key, value in data.items() if value is not None}


def validate(request_type: type[AnyRequest], data: dict[str, Any]) -> AnyRequest:
    """Return the typed request. Raises `InvalidInput` with every offender, up to `MOST_OFFENDERS`."""
    check_sizes(data, request_type.route)
    try:
        request = request_type.model_validate(data)
    except ValidationError as error:
        problems = error.errors(include_url=False)[:MOST_OFFENDERS]
        raise InvalidInput([offender_of(problem, data) for problem in problems]) from None
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


MAX_CONTAINERS = 50_000
"""Arrays and objects: 0.15 us each, and much work for the stages that follow."""
MAX_KEYS = 100_000
"""Keys: 0.4 us each."""
MAX_ITEMS = 300_000
"""Values after the first of their array or object: as many token ids as OpenAI takes in one request."""
MAX_STRINGS = 200_000
MAX_ESCAPES = 4_000_000
"""Bytes of backslashes: a million characters of text may be written as `\\uXXXX` pairs twice over."""
MAX_BARE_BYTES = 8 * 2**20
"""Bytes outside strings: numbers and white space."""
MAX_UNICODE_BYTES = 8 * 2**20
"""Bytes of characters beyond ASCII, which take ten times as long as those of ASCII."""
SLICE = 2**20
"""Bytes that are looked at in one call."""
ASCII = bytes(range(128))


def check_structure(body: bytes) -> None:
    """Raise `RequestTooLarge` for a body with more values, escapes or white space than any request needs.

    One whose arrays and objects do not all end, and are too many, is `InvalidJson`.
    """
    _check("characters beyond ASCII, in bytes,", _unicode_bytes(body), MAX_UNICODE_BYTES)
    _check("backslashes", body.count(b"\\"), MAX_ESCAPES)
    bare = _outside_strings(body)
    _check("bytes outside strings", len(bare), MAX_BARE_BYTES)
    containers = bare.count(b"[") + bare.count(b"{")
    if containers > MAX_CONTAINERS and containers != bare.count(b"]") + bare.count(b"}"):
        raise InvalidJson("The body is not valid JSON: not every array and object has an end.")
    _check("arrays and objects", containers, MAX_CONTAINERS)
    _check("keys", bare.count(b":"), MAX_KEYS)
    _check("items", bare.count(b","), MAX_ITEMS)


def _unicode_bytes(body: bytes) -> int:
    if body.isascii():
        return 0
    slices = (body[start : start + SLICE] for start in range(0, len(body), SLICE))
    return sum(len(one.translate(None, ASCII)) for one in slices)


def _outside_strings(body: bytes) -> bytes:
    """Return the bytes outside strings, of a body whose strings may hold escaped quotes."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    _check("strings", body.count(b'"') // 2, MAX_STRINGS)
    return b"".join(body.split(b'"')[::2])


def _check(found: str, count: int, most: int) -> None:
    if count > most:
        raise RequestTooLarge(f"The body has {count} {found}, this endpoint takes at most {most}.")
