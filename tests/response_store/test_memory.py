"""The store in memory."""

import pytest

from inference.errors import RequestTooLarge
from inference.response_store.memory import MemoryStore
from tests.response_store.records import DAY, NOW, record

LARGEST = 1024


async def test_the_oldest_responses_are_dropped_where_all_take_too_much() -> None:
    records = [record(text="x" * 100) for _ in range(3)]
    store = MemoryStore(LARGEST, max_bytes=2 * len(records[0].encode()), now=lambda: NOW)
    for one in records:
        await store.put(one)
    assert [await store.get(one.id, "") is not None for one in records] == [False, True, True]


async def test_a_single_response_is_kept_even_if_it_takes_more_than_all_may() -> None:
    store = MemoryStore(LARGEST, max_bytes=1, now=lambda: NOW)
    kept = record()
    await store.put(kept)
    assert await store.get(kept.id, "") == kept


async def test_an_expired_response_takes_no_memory() -> None:
    clock = [NOW]
    old, new = record(expires=NOW + DAY), record()
    store = MemoryStore(LARGEST, max_bytes=2 * len(old.encode()) + 8, now=lambda: clock[0])
    await store.put(old)
    await store.put(new)
    clock[0] = NOW + DAY
    assert await store.get(old.id, "") is None
    third = record()
    await store.put(third)
    assert await store.get(new.id, "") == new


async def test_a_caller_cannot_change_what_is_kept() -> None:
    store = MemoryStore(LARGEST, now=lambda: NOW)
    kept = record()
    await store.put(kept)
    kept.response["output"].clear()
    found = await store.get(kept.id, "")
    assert found is not None
    assert len(found.response["output"]) == 1


async def test_a_conversation_beyond_the_limit_is_refused_and_not_kept() -> None:
    store = MemoryStore(LARGEST, now=lambda: NOW)
    large = record(context=({"text": "x" * LARGEST},))
    with pytest.raises(RequestTooLarge):
        await store.put(large)
    assert await store.get(large.id, "") is None


async def test_nothing_is_left_after_closing() -> None:
    store = MemoryStore(LARGEST, now=lambda: NOW)
    kept = record()
    await store.put(kept)
    await store.aclose()
    assert await store.get(kept.id, "") is None
