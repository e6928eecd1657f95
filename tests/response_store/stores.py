"""Every kind of store, for tests of what they have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceExistsError

from inference.response_store.blob import BlobStore
from inference.response_store.memory import MemoryStore
from inference.response_store.sqlite import SqliteStore
from inference.response_store.store import ResponseStore
from inference.settings import Container
from tests.blobs.storage import ACCOUNT, KEY
from tests.response_store.records import NOW

if TYPE_CHECKING:
    from tests.blobs.storage import Storage

KINDS = ("memory", "sqlite", "blob")
LARGEST = 100_000


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> float:
        return self.time


@asynccontextmanager
async def opened(
    kind: str,
    folder: Path,
    storage: Callable[[], Storage],
    *,
    container: str = "responses",
    now: Callable[[], float] = lambda: NOW,
) -> AsyncIterator[ResponseStore]:
    """Open a store of a kind: `memory`, `sqlite` in a folder, or `blob` in a container, made if need be."""
    store: ResponseStore
    if kind == "memory":
        store = MemoryStore(LARGEST, now=now)
    elif kind == "sqlite":
        store = SqliteStore(folder / "kept" / "responses.sqlite3", LARGEST, now=now)
    else:
        store = BlobStore(made(storage(), container), LARGEST, key=KEY, backoff=0, now=now)
    try:
        yield store
    finally:
        await store.aclose()


def made(storage: Storage, name: str, prefix: str = "kept/here") -> Container:
    """Return the address of a container that exists."""
    with suppress(ResourceExistsError):
        storage.container(name)
    return Container(f"{storage.url}/{ACCOUNT}", name, prefix)
