"""The interface of every store of responses, and the limit of what one keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from inference.errors import Offender, RequestTooLarge, ResponseStoreUnavailable
from inference.response_store.record import Item, StoredResponse, encode_json

ADVICE = "Repeat the request in a few seconds, or send `store: false`."


class ResponseStore(Protocol):
    """A place for responses. Its methods raise `ResponseStoreUnavailable` where it cannot be used now.

    A response is written once and never changed. One that has expired, one of another owner and one that was
    never there are the same to a caller: None, or False.
    """

    async def check(self, items: Sequence[Item], context: Sequence[Item]) -> None:
        """Refuse a turn whose response could not be kept, before it runs, so that no answer is lost.

        Raises `RequestTooLarge`; see `check_size`.
        """
        ...

    async def put(self, record: StoredResponse) -> None:
        """Keep a response: when this returns, every process that shares the store finds it.

        A repetition changes nothing. Raises `RequestTooLarge`.
        """
        ...

    async def get(self, response_id: str, owner: str) -> StoredResponse | None:
        """Return a response of an owner; None where there is none, whatever the id looks like."""
        ...

    async def delete(self, response_id: str, owner: str) -> bool:
        """Delete a response of an owner and return True; False where there is none."""
        ...

    async def aclose(self) -> None:
        """Close files and connections."""
        ...


def check_size(items: Sequence[Item], context: Sequence[Item], largest: int) -> None:
    """Refuse a turn whose input and conversation before it take more than `largest` bytes.

    The answer does not count: it is bounded by the model's context, and counts in the turn that continues it.
    Raises `RequestTooLarge`.
    """
    size = _size(items) + _size(context)
    if size > largest:
        message = (
            f"input: this turn and the conversation before it take {size} bytes to keep, and at most "
            f"{largest} are kept. Send `store: false`, begin a new conversation, or leave out images"
        )
        raise RequestTooLarge(f"{message}.", offenders=[Offender(("body", "input"), None, message)])


def encoded(record: StoredResponse, largest: int) -> bytes:
    """Return the document of a record whose turn was not checked before. Raises `RequestTooLarge`."""
    content = record.encode()
    if len(content) > largest:
        check_size(record.items, record.context, largest)
    return content


def unavailable() -> ResponseStoreUnavailable:
    """Return the refusal of a store that cannot be used; the reason is for the log, not for callers."""
    return ResponseStoreUnavailable(f"The store of responses cannot be used now. {ADVICE}")


def _size(items: Sequence[Any]) -> int:
    return len(encode_json(list(items)))
