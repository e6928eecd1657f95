"""What every store of responses promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from inference.errors import RequestTooLarge
from inference.response_store.ids import new_response_id
from inference.response_store.store import ResponseStore, check_size
from tests.response_store.records import DAY, NOW, record
from tests.response_store.stores import KINDS, LARGEST, Clock, opened

ITEM = {"role": "user", "content": "day"}
BYTES = len('{"role":"user","content":"day"}')


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[ResponseStore]:
    async with opened(request.param, tmp_path, lambda: request.getfixturevalue("storage"), now=clock) as one:
        yield one


async def test_a_kept_response_comes_back_as_it_was(store: ResponseStore) -> None:
    kept = record(text="día 🌞", context=(ITEM, ITEM))
    await store.put(kept)
    assert await store.get(kept.id, "") == kept


async def test_a_repetition_changes_nothing(store: ResponseStore) -> None:
    kept = record()
    await store.put(kept)
    await store.put(record(kept.id, text="another"))
    assert await store.get(kept.id, "") == kept


async def test_a_response_is_gone_when_its_time_is_over(store: ResponseStore, clock: Clock) -> None:
    kept = record(expires=NOW + DAY)
    await store.put(kept)
    clock.time = NOW + DAY - 1
    assert await store.get(kept.id, "") == kept
    clock.time = NOW + DAY
    assert await store.get(kept.id, "") is None
    assert not await store.delete(kept.id, "")


async def test_another_owner_sees_nothing_and_deletes_nothing(store: ResponseStore) -> None:
    kept, shared = record(owner="tenant/one"), record()
    await store.put(kept)
    await store.put(shared)
    for one, owners in ((kept.id, ("", "tenant/two", "tenant")), (shared.id, ("tenant/one",))):
        for owner in owners:
            assert await store.get(one, owner) is None
            assert not await store.delete(one, owner)
    assert await store.get(kept.id, "tenant/one") == kept
    assert await store.get(shared.id, "") == shared


async def test_a_deleted_response_is_gone_and_the_turn_after_it_is_whole(store: ResponseStore) -> None:
    first, second = record(), record(context=(ITEM, ITEM))
    await store.put(first)
    await store.put(second)
    assert await store.delete(first.id, "")
    assert not await store.delete(first.id, "")
    assert await store.get(first.id, "") is None
    assert await store.get(second.id, "") == second


@pytest.mark.parametrize("foreign", ["", "..", "resp_../../x", "resp_%' OR 1=1 --", "resp_\ud800", "x" * 999])
async def test_an_id_of_another_form_finds_nothing(store: ResponseStore, foreign: str) -> None:
    await store.put(record())
    assert await store.get(foreign, "") is None
    assert not await store.delete(foreign, "")


async def test_an_owner_of_any_letters_has_responses(store: ResponseStore) -> None:
    kept = record(owner="ténant/../🌞'; --")
    await store.put(kept)
    assert await store.get(kept.id, kept.owner) == kept


async def test_a_turn_that_can_be_kept_may_run(store: ResponseStore) -> None:
    await store.check([ITEM], [ITEM])


async def test_a_turn_that_is_too_large_is_refused_before_it_runs_and_not_kept(store: ResponseStore) -> None:
    large = record(context=({"text": "x" * LARGEST},))
    with pytest.raises(RequestTooLarge):
        await store.check(large.items, large.context)
    with pytest.raises(RequestTooLarge):
        await store.put(large)
    assert await store.get(large.id, "") is None


async def test_an_answer_of_any_length_is_kept(store: ResponseStore) -> None:
    kept = record(text="x" * 2 * LARGEST)
    await store.put(kept)
    assert await store.get(kept.id, "") == kept


@pytest.mark.parametrize("kind", ["sqlite", "blob"])
async def test_what_one_instance_kept_another_continues_and_deletes(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kept = record()
    async with (
        opened(kind, tmp_path, lambda: request.getfixturevalue("storage")) as one,
        opened(kind, tmp_path, lambda: request.getfixturevalue("storage")) as two,
    ):
        await one.put(kept)
        assert await two.get(kept.id, "") == kept
        assert await two.delete(kept.id, "")
        assert await one.get(kept.id, "") is None


async def test_an_unknown_id_finds_nothing(store: ResponseStore) -> None:
    assert await store.get(new_response_id(), "") is None
    assert not await store.delete(new_response_id(), "")


def test_a_conversation_of_just_the_limit_is_kept() -> None:
    check_size([ITEM], [ITEM], 2 * (BYTES + len("[]")))


def test_a_larger_conversation_is_refused_at_input_with_both_sizes() -> None:
    with pytest.raises(RequestTooLarge) as caught:
        check_size([ITEM], [ITEM], 2 * BYTES)
    assert caught.value.status == 413
    assert caught.value.param == "input"
    assert f"take {2 * BYTES + 4} bytes to keep, and at most {2 * BYTES} are kept" in caught.value.message
    assert "`store: false`" in caught.value.message


def test_letters_count_by_their_bytes() -> None:
    with pytest.raises(RequestTooLarge, match="take 34 bytes"):
        check_size([{"role": "user", "content": "í"}], [], 33)
