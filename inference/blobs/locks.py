"""Locks between processes that share a folder. The system frees them when a process ends, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

try:
    import fcntl
except ImportError:  # Windows, where one process has the folder to itself
    fcntl = None  # type: ignore[assignment]

WAIT = 0.1
"""Seconds between two looks at a lock that another holds."""


class FileLock:
    """A lock on a file, held until `release`. Two of one process exclude each other as well."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, *, shared: bool = False) -> bool:
        """Takes the lock if it is free; says whether it did."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def locked(path: Path, stop: Event) -> Iterator[None]:
    """Waits for a lock and holds it. Raises `FetchStopped` when `stop` is set meanwhile."""
    from inference.blobs.errors import FetchStopped

    lock = FileLock(path)
    while not lock.acquire():
        if stop.wait(WAIT):
            raise FetchStopped
    try:
        yield
    finally:
        lock.release()
