"""`GET /responses/{id}/input_items`: the items that a response was made from, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inference.api.offenders import abridged
from inference.errors import InvalidInput, Location, Offender

DEFAULT, MOST = 20, 100
"""Items of a page."""


def input_list(items: Sequence[Mapping[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """Return a page of items, the latest first unless the query has `order=asc`.

    Raises `InvalidInput` for a value of the query that is not one.
    """
    order = query.get("order") or "desc"
    if order not in ("asc", "desc"):
        raise _invalid("order", order, f"must be asc or desc, not {abridged(order)!r}")
    listed = list(items) if order == "asc" else list(reversed(items))
    start, limit = _start(listed, query.get("after")), _limit(query.get("limit"))
    page = listed[start : start + limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": start + limit < len(listed),
    }


def _start(listed: Sequence[Mapping[str, Any]], after: str | None) -> int:
    if not after:
        return 0
    for number, item in enumerate(listed):
        if item["id"] == after:
            return number + 1
    raise _invalid("after", after, f"there is no item {abridged(after)!r} in this list")


def _limit(text: str | None) -> int:
    if not text:
        return DEFAULT
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= MOST:
        raise _invalid("limit", text, f"must be an integer from 1 to {MOST}, not {abridged(text)!r}")
    return int(text)


def _invalid(name: str, value: str, message: str) -> InvalidInput:
    loc: Location = ("query", name)
    return InvalidInput([Offender(loc, abridged(value), message)])
