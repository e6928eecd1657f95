"""The ids of responses and of their items, checked before a path or a statement is made of one.

A response's key is 128 random bits, so that no id can be guessed. An item's id has the key of its response,
so that a reference to an item finds the record without a second index.
"""

from __future__ import annotations

import re
from secrets import token_hex

RESPONSE_PREFIX = "resp"
ITEM_PREFIXES = ("msg", "fc", "fco", "rs")
"""Prefixes of a message, a function call, its output, and a reasoning item."""
KEY_BYTES = 16

RESPONSE_ID = re.compile(r"resp_([0-9a-f]{32})")
ITEM_ID = re.compile(r"(?:msg|fc|fco|rs)_([0-9a-f]{32})[0-9]{4,8}")


def new_response_id() -> str:
    """Return a new id: `resp_` and 32 hexadecimal digits."""
    return f"{RESPONSE_PREFIX}_{token_hex(KEY_BYTES)}"


def is_response_id(text: str) -> bool:
    """Return True if a text from outside has the form of a response's id."""
    return RESPONSE_ID.fullmatch(text) is not None


def item_id(prefix: str, response_id: str, number: int) -> str:
    """Return the id of an item of a response: its prefix, the response's key and a number of four digits.

    Raises `ValueError` for an unknown prefix and for an id that is no response's.
    """
    found = RESPONSE_ID.fullmatch(response_id)
    if prefix not in ITEM_PREFIXES or found is None:
        raise ValueError(f"{prefix!r} and {response_id!r} make no item's id")
    return f"{prefix}_{found[1]}{number:04d}"


def response_of(item: str) -> str | None:
    """Return the id of the response that an item's id belongs to; None if it has not the form of one."""
    found = ITEM_ID.fullmatch(item)
    return None if found is None else f"{RESPONSE_PREFIX}_{found[1]}"
