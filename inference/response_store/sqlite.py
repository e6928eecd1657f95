"""A store in a SQLite file, which several processes of one machine share.

The file has a write-ahead log: readers and a writer do not wait for each other, and a killed process leaves
whole records or none. A power cut may cost the last moments: to flush each record takes longer than to write
it, and no client would notice the difference but by its slower answers.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from inference.response_store.files import file_identity, has_room, make_private
from inference.response_store.record import Item, StoredResponse, UnreadableRecord
from inference.response_store.store import check_size, encoded, unavailable

log = logging.getLogger(__name__)
Result = TypeVar("Result")

BUSY_SECONDS = 5
"""Seconds to wait for another process that writes."""
ROOM = 8 * 1024 * 1024
"""Bytes that the disk must have free beside a record: for the log of the file, and its index."""
ROOM_SECONDS = 1
"""Seconds for which the disk is not asked again whether it has room: a quarter of a millisecond a request."""
EXPIRED_AT_ONCE = 64
"""Expired records removed by one statement, so that no turn waits for thousands."""
LOG_BYTES = 4 * 1024 * 1024
"""Bytes that the write-ahead log keeps after it was merged."""

SETUP = (
    # Before there is a table: the file gives pages back, and what was deleted is overwritten.
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA secure_delete = ON",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    f"PRAGMA journal_size_limit = {LOG_BYTES}",
    """CREATE TABLE IF NOT EXISTS responses (
        id TEXT NOT NULL, owner TEXT NOT NULL, expires REAL NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (id, owner)
    )""",
    "CREATE INDEX IF NOT EXISTS responses_expires ON responses (expires)",
)
PUT = "INSERT OR IGNORE INTO responses (id, owner, expires, record) VALUES (?, ?, ?, ?)"
GET = "SELECT record FROM responses WHERE id = ? AND owner = ? AND expires > ?"
DELETE = "DELETE FROM responses WHERE id = ? AND owner = ? AND expires > ?"
EXPIRED = "SELECT 1 FROM responses WHERE expires <= ? LIMIT 1"
EXPIRE = """
    DELETE FROM responses WHERE rowid IN
    (SELECT rowid FROM responses WHERE expires <= ? ORDER BY expires LIMIT ?)
"""


class SqliteStore:
    """Responses in a file. One thread uses the connection, so that the event loop waits for no disk."""

    def __init__(
        self,
        path: Path,
        largest: int,
        *,
        busy_seconds: float = BUSY_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._largest = largest
        self._busy_seconds = busy_seconds
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        """Device and number of the file that is open: another process may have removed it."""
        self._usable: float | None = None
        """When the file was found usable last, in seconds since the epoch; None after a failure."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="responses")

    async def check(self, items: Sequence[Item], context: Sequence[Item]) -> None:
        """Refuse a turn that is too large, or whose response the disk has no room for."""
        check_size(items, context, self._largest)
        if self._usable is None or not 0 <= self._now() - self._usable < ROOM_SECONDS:
            await self._run(lambda _: self._require_room())

    async def put(self, record: StoredResponse) -> None:
        """Keep a response, and remove some that have expired. See `ResponseStore`."""
        content = encoded(record, self._largest)
        row = (_text(record.id), _text(record.owner), record.expires, content)
        await self._run(lambda connection: self._put(connection, row))

    async def get(self, response_id: str, owner: str) -> StoredResponse | None:
        """Return a response of an owner, or None."""
        content = await self._run(lambda connection: self._get(connection, response_id, owner))
        if content is None:
            return None
        try:
            return StoredResponse.decode(content)
        except UnreadableRecord as error:
            log.warning("A kept response cannot be read: %s", error)
            return None

    async def delete(self, response_id: str, owner: str) -> bool:
        """Delete a response of an owner and return True; False where there is none."""
        return await self._run(lambda connection: self._delete(connection, response_id, owner))

    async def aclose(self) -> None:
        """Close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Return the result of work with the connection. Raises `ResponseStoreUnavailable`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._with_connection, work)

    def _with_connection(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            return work(self._current())
        except (sqlite3.Error, OSError) as error:
            self._usable = None
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
                # The next request opens it anew: its disk may be back.
                self._close()
            log.warning("Responses cannot be kept in %s: %s", self._path, error)
            raise unavailable() from None

    def _current(self) -> sqlite3.Connection:
        """Return the connection, a new one where the file was removed or replaced."""
        if self._connection is not None and self._file == file_identity(self._path):
            return self._connection
        self._close()
        self._connection = connection = self._open()
        self._file = file_identity(self._path)
        self._expire(connection)
        return connection

    def _open(self) -> sqlite3.Connection:
        make_private(self._path)
        connection = sqlite3.connect(self._path, timeout=self._busy_seconds, isolation_level=None)
        try:
            for statement in SETUP:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _require_room(self) -> None:
        if not has_room(self._path, ROOM + 2 * self._largest):
            raise OSError("the disk is full")
        self._usable = self._now()

    def _put(self, connection: sqlite3.Connection, row: tuple[str, str, float, bytes]) -> None:
        connection.execute(PUT, row)
        self._expire(connection)

    def _expire(self, connection: sqlite3.Connection) -> None:
        """Remove some of the records that have expired; another process may be at it."""
        if connection.execute(EXPIRED, (self._now(),)).fetchone() is None:
            return
        with suppress(sqlite3.OperationalError):
            connection.execute(EXPIRE, (self._now(), EXPIRED_AT_ONCE))
            # It gives back a page a step, and `execute` makes one step.
            connection.executescript("PRAGMA incremental_vacuum")

    def _get(self, connection: sqlite3.Connection, response_id: str, owner: str) -> bytes | None:
        row = connection.execute(GET, (_text(response_id), _text(owner), self._now())).fetchone()
        return None if row is None else row[0]

    def _delete(self, connection: sqlite3.Connection, response_id: str, owner: str) -> bool:
        found = connection.execute(DELETE, (_text(response_id), _text(owner), self._now())).rowcount > 0
        if found:
            # What was deleted is in the log until it is merged; a reader of another process may prevent that.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return found


def _text(text: str) -> str:
    """Return a text that SQLite can bind: half of a surrogate pair, which no id of ours has, is replaced."""
    return text.encode("utf-8", "replace").decode()
