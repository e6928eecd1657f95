"""The local disk that processes share: file locks between them, and a budget with eviction."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock

from inference.blobs.errors import BlobTooLarge, DiskFull, FetchStopped

try:
    import fcntl
except ImportError:  # Windows, where one process has the folder to itself
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

MIB = 1024 * 1024
POLL_SECONDS = 0.1
"""Seconds between two attempts to take a lock that another process holds."""
RESERVE = 64 * MIB
"""Bytes of the disk that stay free for other programs."""
EVICTED = "gone"
"""Suffix of an entry that is being evicted."""
EVICTABLE = ("folders", "prepared")
"""Folders whose entries are evicted as a whole: NAME/ENTRY/, with NAME/ENTRY.lock shared by its users."""


class FileLock:
    """A lock on a file, until `release` or the end of the process; locks of one process exclude one another.

    The system frees it however the process ends.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, *, shared: bool = False) -> bool:
        """Take the lock if it is free, and return True if it was."""
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
        """Free the lock; further calls do nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def locked(path: Path, stop: Event) -> Iterator[None]:
    """Wait for a lock and keep it for a block. Raises `FetchStopped` when `stop` is set before."""
    lock = FileLock(path)
    while not lock.acquire():
        if stop.wait(POLL_SECONDS):
            raise FetchStopped
    try:
        yield
    finally:
        lock.release()


class DiskBudget:
    """A limit on the bytes under a folder, with eviction of the least recently used entries."""

    def __init__(self, root: Path, *, limit: int) -> None:
        """Take the most bytes; 0 allows the whole disk except a reserve."""
        self._root = root
        self.limit = limit
        self._lock = Lock()

    def make_room(self, needed: int, *, keep: Collection[str] = ()) -> None:
        """Evict the least recently used entries until `needed` bytes fit; those named in `keep` stay.

        Raises `BlobTooLarge` if they can never fit, `DiskFull` if entries in use take the room.
        """
        if self.limit and needed > self.limit:
            raise BlobTooLarge(f"it needs {_mib(needed)}, INFERENCE_CACHE_MB allows {_mib(self.limit)}")
        with self._lock:
            if self._lacking(needed) > 0:
                self._prune()
            for entry in self._candidates(keep):
                if self._lacking(needed) <= 0:
                    return
                log.info("%s is evicted from the disk", entry.name)
                self._evict(entry)
            if (lacking := self._lacking(needed)) > 0:
                raise DiskFull(f"the disk lacks {_mib(lacking)} of the {_mib(needed)} that are needed")

    def used(self) -> int:
        """Return the bytes of all files, each hard-linked file counted once."""
        sizes: dict[tuple[int, int], int] = {}
        for path in self._root.rglob("*"):
            try:
                entry = path.lstat()
            except OSError:  # removed by another process
                continue
            sizes[entry.st_dev, entry.st_ino] = entry.st_blocks * 512
        return sum(sizes.values())

    def _lacking(self, needed: int) -> int:
        self._root.mkdir(parents=True, exist_ok=True)
        lacking = needed + RESERVE - shutil.disk_usage(self._root).free
        return max(lacking, self.used() + needed - self.limit) if self.limit else lacking

    def _candidates(self, keep: Collection[str]) -> Iterator[Path]:
        """Yield the entries that may be evicted, the least recently used first."""
        entries = [
            entry
            for kind in EVICTABLE
            for entry in (self._root / kind).glob("*")
            if entry.is_dir() and entry.name not in keep
        ]
        yield from sorted(entries, key=_last_use)

    def _evict(self, entry: Path) -> None:
        lock = FileLock(entry.with_name(entry.name + ".lock"))
        if not lock.acquire():
            return  # in use
        try:
            # Renamed first, so that no process finds a part of it under its name.
            trash = entry.with_name(f".{entry.name}-{EVICTED}")
            entry.rename(trash)
            shutil.rmtree(trash, ignore_errors=True)
        except OSError:
            log.warning("%s could not be removed", entry.name)
        finally:
            lock.release()
        self._prune()

    def _prune(self) -> None:
        """Remove the files that belong to no deployment on the disk and are not being fetched."""
        for path in (self._root / "objects").glob("*"):
            key, _, suffix = path.name.partition(".")
            if suffix in ("lock", "stamp"):
                continue
            lock = FileLock(path.with_name(f"{key}.lock"))
            if (suffix or path.stat().st_nlink == 1) and lock.acquire():
                path.unlink(missing_ok=True)
                path.with_name(f"{key}.stamp").unlink(missing_ok=True)
                lock.release()


def clear_unfinished(folder: Path) -> None:
    """Remove the hidden entries of a folder that processes left which ended while they wrote or evicted them.

    They are named .KEY-SUFFIX; a process at work on one has the lock KEY.writing, or KEY.lock for `EVICTED`.
    """
    for path in folder.glob(".*-*"):
        key, _, suffix = path.name[1:].rpartition("-")
        lock = FileLock(folder / f"{key}.{'lock' if suffix == EVICTED else 'writing'}")
        if lock.acquire():
            log.info("%s was not finished and is removed", path.name)
            shutil.rmtree(path, ignore_errors=True)
            lock.release()


def _last_use(entry: Path) -> float:
    try:
        return entry.with_name(entry.name + ".lock").stat().st_mtime
    except OSError:
        return 0.0


def _mib(size: int) -> str:
    return f"{size / MIB:.1f} MiB"
