"""Locks between processes that share a folder. The system frees them when a process ends, however it ends."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock

from inference.blobs.errors import BlobTooLarge, DiskFull

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


log = logging.getLogger(__name__)

MIB = 1024 * 1024
RESERVE = 64 * MIB
"""Bytes of the disk that stay free: others write there too."""
KEPT = ("folders", "prepared")
"""Where things lie that may give way as a whole: NAME/ENTRY/, with NAME/ENTRY.lock shared by who uses it."""


class DiskBudget:
    """How much may lie under a folder, and making place in it."""

    def __init__(self, root: Path, *, limit: int) -> None:
        """`limit`: the most bytes; 0: what the disk has, but for a reserve."""
        self._root = root
        self.limit = limit
        self._lock = Lock()

    def make(self, needed: int, *, keep: Collection[str] = ()) -> None:
        """Takes away what is longest unused until so many bytes fit; `keep` names entries that stay.

        Raises `BlobTooLarge` where they can never fit, `DiskFull` where what is in use is in the way.
        """
        if self.limit and needed > self.limit:
            raise BlobTooLarge(
                f"{_mib(needed)} have to be kept, INFERENCE_CACHE_MB allows {_mib(self.limit)}"
            )
        with self._lock:
            if self._lacking(needed) > 0:
                self._prune()
            for entry in self._unused(keep):
                if self._lacking(needed) <= 0:
                    return
                log.info("%s gives way on the disk", entry.name)
                self._remove(entry)
            if (lacking := self._lacking(needed)) > 0:
                raise DiskFull(f"the disk lacks {_mib(lacking)} of the {_mib(needed)} that are needed")

    def used(self) -> int:
        """Bytes that lie there, files with several names counted once."""
        found: dict[tuple[int, int], int] = {}
        for path in self._root.rglob("*"):
            try:
                entry = path.lstat()
            except OSError:  # another process took it away
                continue
            found[entry.st_dev, entry.st_ino] = entry.st_blocks * 512
        return sum(found.values())

    def _lacking(self, needed: int) -> int:
        self._root.mkdir(parents=True, exist_ok=True)
        lacking = needed + RESERVE - shutil.disk_usage(self._root).free
        return max(lacking, self.used() + needed - self.limit) if self.limit else lacking

    def _unused(self, keep: Collection[str]) -> Iterator[Path]:
        """Entries by their last use, the longest unused first."""
        entries = [
            entry
            for kind in KEPT
            for entry in (self._root / kind).glob("*")
            if entry.is_dir() and entry.name not in keep
        ]
        yield from sorted(entries, key=_last_use)

    def _remove(self, entry: Path) -> None:
        lock = FileLock(entry.with_name(entry.name + ".lock"))
        if not lock.acquire():
            return  # in use
        try:
            # Under another name first, so that nobody meets half of it.
            gone = entry.with_name(f".{entry.name}-gone")
            entry.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        except OSError:
            log.warning("%s could not be taken away", entry.name)
        finally:
            lock.release()
        self._prune()

    def _prune(self) -> None:
        """Takes away files that belong to no deployment here and that nobody is fetching."""
        for path in (self._root / "objects").glob("*"):
            key, _, suffix = path.name.partition(".")
            if suffix in ("lock", "stamp"):
                continue
            lock = FileLock(path.with_name(f"{key}.lock"))
            if (suffix or path.stat().st_nlink == 1) and lock.acquire():
                path.unlink(missing_ok=True)
                path.with_name(f"{key}.stamp").unlink(missing_ok=True)
                lock.release()


def _last_use(entry: Path) -> float:
    try:
        return entry.with_name(entry.name + ".lock").stat().st_mtime
    except OSError:
        return 0.0


def _mib(size: int) -> str:
    return f"{size / MIB:.1f} MiB"
