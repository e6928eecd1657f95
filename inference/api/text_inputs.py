"""Values that are one text or many: `prompt`, `input`, `stop`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Discriminator, Field, Tag

TokenId = Annotated[int, Field(ge=0, le=2**31 - 1)]
Tokens = Annotated[list[TokenId], Field(min_length=1, fail_fast=True)]
"""Of a long list's wrong items the first is named: to name all would take longer than to answer."""


def _member(value: Any) -> str | None:
    """Return the member of `TextOrTokens` that a value is meant to be, judged by its first item."""
    if isinstance(value, str):
        return "<text>"
    if not isinstance(value, list):
        return None
    first = value[0] if value else ""
    if isinstance(first, int) and not isinstance(first, bool):
        return "<tokens>"
    return "<token_arrays>" if isinstance(first, list) else "<texts>"


TextOrTokens = Annotated[
    Annotated[str, Tag("<text>")]
    | Annotated[list[str], Field(min_length=1, fail_fast=True), Tag("<texts>")]
    | Annotated[Tokens, Tag("<tokens>")]
    | Annotated[list[Tokens], Field(fail_fast=True), Tag("<token_arrays>")],
    Discriminator(
        _member,
        custom_error_type="text_or_tokens",
        custom_error_message="Input should be a string, an array of strings, or token ids",
    ),
]
"""A text, several texts, a token array, or several token arrays."""

Texts = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[list[str], Field(fail_fast=True), Tag("<texts>")],
    Discriminator(lambda value: "<text>" if isinstance(value, str) else "<texts>"),
]
"""A text or several."""


def one_by_one(value: str | list[str] | list[int] | list[list[int]]) -> list[str | list[int]]:
    """Return the texts or token arrays of a `TextOrTokens`, in order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value[0], int):
        return [value]  # the first item decides: validation made all of one type
    return list(value)


def as_list(value: str | list[str] | None) -> tuple[str, ...]:
    """Return the texts of a `Texts`, in order; none for None."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def with_token_ids(value: str | list[str] | list[int] | list[list[int]]) -> bool:
    """Return True if any of the inputs is sent as token ids."""
    return any(not isinstance(one, str) for one in one_by_one(value))


def read(one: str | Sequence[int], decode: Callable[[Sequence[int]], str]) -> str:
    """Return the text of an input, which `decode` makes of token ids."""
    return one if isinstance(one, str) else decode(one)


def json_texts(value: Any) -> Iterator[str]:
    """Yield the texts in a JSON value: strings, and the names of properties."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            waiting += reversed(item)
        elif isinstance(item, dict):
            for key, inner in reversed(item.items()):
                waiting += (inner, *reversed([*name_texts(key)]))


def name_texts(name: str) -> Iterator[str]:
    """Yield a name, and its words where it joins them, as in `look_up` and `look-up`."""
    yield name
    words = name.replace("_", " ").replace("-", " ")
    if words != name:
        yield words


def undeclared_texts(value: Any) -> Iterator[str]:
    """Yield the texts under keys that the types of a value do not declare, at any depth, and these keys."""
    if isinstance(value, BaseModel):
        yield from json_texts(value.model_extra or {})
        for name in type(value).model_fields:
            yield from undeclared_texts(getattr(value, name))
    elif isinstance(value, list):
        for item in value:
            yield from undeclared_texts(item)
