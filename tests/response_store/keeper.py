"""A process that keeps a response and is killed before it can close anything."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from inference.response_store.sqlite import SqliteStore
from tests.response_store.records import record


async def keep(path: Path, response_id: str) -> None:
    """Keep a response in a file; nothing runs after it."""
    store = SqliteStore(path, 10_000)
    await store.put(record(response_id))
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(keep(Path(sys.argv[1]), sys.argv[2]))
