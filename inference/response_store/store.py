"""The interface of every store of responses, and the limit of what one keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from inference.errors import Offender, RecordTooLarge
from inference.response_store.record import Item, StoredResponse, encode_json


class ResponseStore(Protocol):
    """A place for responses. Its methods raise `ResponseStoreUnavailable` where it cannot be used now.

    A response is written once and never changed. One that has expired, one of another owner and one that was
    never there are the same to a caller: None, or False.
    """

    largest: int
    """The most bytes that the input of a response and the conversation before it may take."""

    async def put(self, record: StoredResponse) -> None:
        """Keep a response: when this returns, every process that shares the store finds it.

        A repetition changes nothing. Raises `RecordTooLarge`; see `check_size`.
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
    """Refuse a turn that could not be kept. Call it before the turn runs, so that no answer is lost.

    The answer does not count: it is bounded by the model's context, and counts in the turn that continues it.
    Raises `RecordTooLarge`.
    """
    size = _size(items) + _size(context)
    if size > largest:
        message = (
            f"input: this turn and the conversation before it take {size} bytes to keep, and at most "
            f"{largest} are kept. Send `store: false`, begin a new conversation, or leave out images"
        )
        raise RecordTooLarge(f"{message}.", offenders=[Offender(("body", "input"), None, message)])


def _size(items: Sequence[Any]) -> int:
    return len(encode_json(list(items)))
