"""A store in the memory of this process: for tests, and for an operator who wants nothing on a disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from inference.response_store.record import Item, StoredResponse
from inference.response_store.store import check_size, encoded

MAX_BYTES = 64 * 1024 * 1024
"""The most bytes of all records together; the oldest go first."""


class MemoryStore:
    """Responses that end with this process, bounded by their number of bytes."""

    def __init__(
        self, largest: int, *, max_bytes: int = MAX_BYTES, now: Callable[[], float] = time.time
    ) -> None:
        self._largest = largest
        self._max_bytes = max_bytes
        self._now = now
        # As bytes, so that no caller can change what is kept.
        self._records: dict[tuple[str, str], bytes] = {}
        self._bytes = 0

    async def check(self, items: Sequence[Item], context: Sequence[Item]) -> None:
        """Refuse a turn that is too large to be kept."""
        check_size(items, context, self._largest)

    async def put(self, record: StoredResponse) -> None:
        """Keep a response, and drop the oldest where there are too many. See `ResponseStore`."""
        content = encoded(record, self._largest)
        key = (record.owner, record.id)
        if key in self._records:
            return
        self._records[key] = content
        self._bytes += len(content)
        while self._bytes > self._max_bytes and len(self._records) > 1:
            self._drop(next(iter(self._records)))

    async def get(self, response_id: str, owner: str) -> StoredResponse | None:
        """Return a response of an owner, or None."""
        content = self._records.get((owner, response_id))
        if content is None:
            return None
        record = StoredResponse.decode(content)
        if record.expires <= self._now():
            self._drop((owner, response_id))
            return None
        return record

    async def delete(self, response_id: str, owner: str) -> bool:
        """Delete a response of an owner and return True; False where there is none."""
        found = await self.get(response_id, owner) is not None
        if found:
            self._drop((owner, response_id))
        return found

    async def aclose(self) -> None:
        """Forget everything."""
        self._records.clear()
        self._bytes = 0

    def _drop(self, key: tuple[str, str]) -> None:
        self._bytes -= len(self._records.pop(key))
