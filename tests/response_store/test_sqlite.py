"""The store in a SQLite file: shared, private, and honest about its disk."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from inference.errors import ResponseStoreUnavailable
from inference.response_store.ids import new_response_id
from inference.response_store.sqlite import SqliteStore
from inference.settings import PROJECT
from tests.response_store.records import DAY, NOW, record
from tests.response_store.stores import Clock

LARGEST = 1024 * 1024
SECRET = "the words of a prompt that nobody else may read"


@asynccontextmanager
async def opened(path: Path, clock: Clock | None = None) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, LARGEST, busy_seconds=0, now=clock or Clock())
    try:
        yield store
    finally:
        await store.aclose()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "responses.sqlite3"


def killed(path: Path, response_id: str) -> bool:
    """Run a process that keeps a response and is killed after it."""
    command = [sys.executable, "-m", "tests.response_store.keeper", str(path), response_id]
    return subprocess.run(command, cwd=PROJECT, check=False).returncode == -signal.SIGKILL


def write(path: Path, content: bytes) -> Path:
    """Write a file that others can read, and the folder before it."""
    path.parent.mkdir()
    path.write_bytes(content)
    path.chmod(0o644)
    return path


def link(path: Path, target: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(target)


def read(path: Path) -> bytes:
    return path.read_bytes()


def size(path: Path) -> int:
    return path.stat().st_size


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        count: int = connection.execute("SELECT count(*) FROM responses").fetchone()[0]
        return count


async def test_a_response_survives_a_process_that_is_killed_after_it(path: Path) -> None:
    first, second = new_response_id(), new_response_id()
    for one in (first, second):
        assert killed(path, one)
    async with opened(path) as store:
        assert await store.get(first, "") == record(first)
        assert await store.get(second, "") == record(second)


async def test_nobody_else_may_read_the_files(path: Path) -> None:
    write(path, b"")
    async with opened(path) as store:
        await store.put(record())
        modes = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
    assert modes == {path.name: 0o600, f"{path.name}-wal": 0o600, f"{path.name}-shm": 0o600}


async def test_nothing_of_a_deleted_response_is_left_in_the_files(path: Path) -> None:
    kept = record(text=SECRET)
    async with opened(path) as store:
        await store.put(kept)
        assert any(SECRET.encode() in one.read_bytes() for one in path.parent.iterdir())
        assert await store.delete(kept.id, "")
        assert not any(SECRET.encode() in one.read_bytes() for one in path.parent.iterdir())


async def test_expired_responses_are_removed_from_the_file_by_the_next_one(path: Path) -> None:
    clock = Clock()
    async with opened(path, clock) as store:
        for _ in range(3):
            await store.put(record(expires=NOW + DAY, text="x" * 50_000))
        clock.time = NOW + DAY
        kept = record(text="x" * 50_000)
        await store.put(kept)
        assert rows(path) == 1
        assert await store.get(kept.id, "") == kept
    assert size(path) < 80_000


async def test_expired_responses_are_removed_from_the_file_by_a_start(path: Path) -> None:
    clock = Clock()
    async with opened(path, clock) as store:
        await store.put(record(expires=NOW + DAY))
    clock.time = NOW + DAY
    async with opened(path, clock) as store:
        await store.get(new_response_id(), "")
    assert rows(path) == 0


async def test_a_thousand_turns_of_one_conversation_are_kept_and_the_last_has_all(path: Path) -> None:
    context: tuple[dict[str, object], ...] = ()
    kept = record()
    async with opened(path) as store:
        for number in range(1000):
            kept = record(context=context)
            await store.put(kept)
            context = (*context, {"n": number})
        assert rows(path) == 1000
        assert await store.get(kept.id, "") == kept


async def test_two_instances_write_at_once_and_lose_nothing(path: Path) -> None:
    records = [record() for _ in range(100)]
    one = SqliteStore(path, LARGEST, now=Clock())
    two = SqliteStore(path, LARGEST, now=Clock())
    await asyncio.gather(*((one, two)[number % 2].put(kept) for number, kept in enumerate(records)))
    assert [await two.get(kept.id, "") for kept in records[::2]] == records[::2]
    assert rows(path) == 100
    await one.aclose()
    await two.aclose()


async def test_a_full_disk_is_refused_before_a_turn_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(path.parent.parent)
    clock = Clock()
    async with opened(path, clock) as store:
        await store.check([], [])
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=LARGEST))
        await store.check([], [])
        clock.time += 1
        with pytest.raises(ResponseStoreUnavailable) as caught:
            await store.check([], [])
        monkeypatch.undo()
        await store.check([], [])
    assert caught.value.status == 503
    assert caught.value.headers == {"Retry-After": "2"}
    assert "`store: false`" in caught.value.message
    assert str(path) not in caught.value.message


async def test_a_disk_that_is_full_while_a_response_is_written_keeps_what_was_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = record(), record(text="x" * 500_000)
    connect = sqlite3.connect

    def small(*args: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)  # type: ignore[call-overload]
        connection.execute("PRAGMA max_page_count = 32")
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    async with opened(path) as store:
        await store.put(first)
        with pytest.raises(ResponseStoreUnavailable):
            await store.put(second)
        assert await store.get(first.id, "") == first
        assert await store.get(second.id, "") is None
        monkeypatch.undo()
    async with opened(path) as store:
        await store.put(second)
        assert await store.get(second.id, "") == second


async def test_a_store_that_was_away_is_used_as_soon_as_it_is_back(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = record()
    path.parent.write_text("a file where a folder should be")
    async with opened(path) as store:
        for call in (store.check([], []), store.put(kept), store.get(kept.id, ""), store.delete(kept.id, "")):
            with pytest.raises(ResponseStoreUnavailable):
                await call
        path.parent.unlink()
        await store.put(kept)
        assert await store.get(kept.id, "") == kept
    assert str(path) in caplog.text


async def test_a_file_that_was_removed_is_made_anew(path: Path) -> None:
    async with opened(path) as store:
        await store.put(record())
        shutil.rmtree(path.parent)
        kept = record()
        await store.put(kept)
        assert await store.get(kept.id, "") == kept
        assert rows(path) == 1


async def test_a_file_that_is_no_store_is_left_as_it_is(path: Path) -> None:
    theirs = b"something else " * 100
    write(path, theirs)
    async with opened(path) as store:
        with pytest.raises(ResponseStoreUnavailable):
            await store.put(record())
    assert read(path) == theirs


async def test_a_writer_that_does_not_end_is_not_waited_for(path: Path) -> None:
    async with opened(path) as store:
        kept = record()
        await store.put(kept)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(ResponseStoreUnavailable):
                await store.put(record())
            assert await store.get(kept.id, "") == kept
            other.execute("ROLLBACK")
        await store.put(record())


async def test_a_record_that_cannot_be_read_is_not_found(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = record()
    async with opened(path) as store:
        await store.put(kept)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("UPDATE responses SET record = ?", (b'{"schema":2}',))
        assert await store.get(kept.id, "") is None
    assert "expected a record of version 1, not 2" in caplog.text


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links are no danger here")
async def test_a_link_to_another_file_is_not_followed(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "theirs"
    link(path, target)
    async with opened(path) as store:
        with pytest.raises(ResponseStoreUnavailable):
            await store.put(record())
    assert not target.exists()
