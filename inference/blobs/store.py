"""The folder on the local disk that deployments are fetched into; processes may share it.

    objects/KEY             a complete file, named by account, container, path and ETag
    objects/KEY.stamp       its size, date and digest, written when it was complete
    objects/KEY.partial     the fetched parts of an incomplete file; KEY.ranges lists them
    folders/VERSION/        a deployment: hard links to objects, renamed to this name when complete
    folders/VERSION.lock    shared by the processes that have it open; its date is the last use

So a deployment's folder has all of its files as the container has them, or it does not exist.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from uuid import uuid4

from inference.blobs.client import RANGE_BYTES
from inference.blobs.disk import DiskBudget, FileLock, locked
from inference.blobs.listing import Blob, BlobFolder, blob_key
from inference.blobs.transfer import OnBytes, Stamp, Transfer, file_digest, translate_disk_full

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


class Store:
    """The fetched deployments, as folders on the disk."""

    def __init__(self, root: Path, *, limit: int, part: int = RANGE_BYTES) -> None:
        """Take the most bytes on the disk (0: all that it has free), and the bytes of a range."""
        self._part = part
        self._objects = root / "objects"
        self._folders = root / "folders"
        self.budget = DiskBudget(root, limit=limit)

    def path(self, folder: BlobFolder) -> Path:
        """Return the path that a deployment has once it is fetched."""
        return self._folders / folder.version

    def ready(self, folder: BlobFolder) -> bool:
        """Return True if a deployment is on the disk with the files that were fetched.

        A file with another date is read once; a file with other content is removed.
        """
        home = self.path(folder)
        if not home.is_dir():
            return False
        bad = [blob for blob in folder.blobs if not _is_intact(home / blob.path, self._object(folder, blob))]
        self._remove(folder, bad)
        return not bad

    def verify(self, folder: BlobFolder) -> bool:
        """Return True if every byte is as fetched; all files are read, and those that differ are removed."""
        home = self.path(folder)
        bad = []
        for blob in folder.blobs:
            stamp, path = _read_stamp(self._object(folder, blob)), home / blob.path
            if stamp is None or not path.is_file() or file_digest(path, stamp.part) != stamp.digest:
                bad.append(blob)
        self._remove(folder, bad)
        return not bad

    def pin(self, folder: BlobFolder) -> FileLock | None:
        """Return a lock that keeps a deployment from eviction until released, None if it is not there."""
        lock = FileLock(self._lock(folder))
        if not lock.acquire(shared=True):
            return None  # another process is evicting it
        if not self.path(folder).is_dir():
            lock.release()
            return None
        os.utime(self._lock(folder))
        return lock

    def fetch(
        self,
        folder: BlobFolder,
        client: ContainerClient,
        pool: ThreadPoolExecutor,
        *,
        count: OnBytes,
        stop: Event,
        keep: Collection[str] = (),
    ) -> None:
        """Fetch the missing files and assemble the folder, after any process that is fetching it already.

        `keep` names versions that are not evicted for it. Raises `BlobError`, and `FetchStopped`.
        """
        with translate_disk_full(folder.name), ExitStack() as locks:
            # All processes lock in one sequence, so that none waits for another in a circle.
            for blob in sorted(folder.blobs, key=lambda blob: blob_key(folder.container, blob)):
                locks.enter_context(locked(_with_suffix(self._object(folder, blob), ".lock"), stop))
            if self.ready(folder):
                count(folder.size)
                return
            missing = [blob for blob in folder.blobs if not self._has(folder, blob)]
            needed = sum(max(0, blob.size - self._partial_bytes(folder, blob)) for blob in missing)
            self.budget.make_room(needed, keep={folder.version, *keep})
            count(sum(blob.size for blob in folder.blobs if blob not in missing))
            for blob in missing:
                target = self._object(folder, blob)
                transfer = Transfer(client, blob, target, count=count, stop=stop, part=self._part)
                _write(_with_suffix(target, ".stamp"), json.dumps(asdict(transfer.run(pool))))
                transfer.commit()
            self._assemble(folder)

    def _assemble(self, folder: BlobFolder) -> None:
        unfinished = self._folders / f".{folder.version}-{uuid4().hex}"
        try:
            for blob in folder.blobs:
                path = unfinished / blob.path
                path.parent.mkdir(parents=True, exist_ok=True)
                _link(self._object(folder, blob), path)
            _flush(unfinished)
            self._lock(folder).touch()
            unfinished.rename(self.path(folder))
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _partial_bytes(self, folder: BlobFolder, blob: Blob) -> int:
        """Return the bytes of the disk that an earlier, incomplete fetch takes already."""
        partial = _with_suffix(self._object(folder, blob), ".partial")
        return partial.stat().st_blocks * 512 if partial.is_file() else 0

    def _has(self, folder: BlobFolder, blob: Blob) -> bool:
        path = self._object(folder, blob)
        if _is_intact(path, path):
            return True
        path.unlink(missing_ok=True)
        return False

    def _remove(self, folder: BlobFolder, bad: list[Blob]) -> None:
        if bad:
            shutil.rmtree(self.path(folder), ignore_errors=True)
        for blob in bad:
            self._object(folder, blob).unlink(missing_ok=True)

    def _object(self, folder: BlobFolder, blob: Blob) -> Path:
        return self._objects / blob_key(folder.container, blob)

    def _lock(self, folder: BlobFolder) -> Path:
        return _with_suffix(self.path(folder), ".lock")


def _is_intact(path: Path, stored: Path) -> bool:
    """Return True if a file has the content that the stamp of its object describes."""
    stamp = _read_stamp(stored)
    try:
        found = path.stat()
    except OSError:
        return False
    if stamp is None or found.st_size != stamp.size:
        return False
    if found.st_mtime_ns == stamp.mtime_ns:
        return True
    if file_digest(path, stamp.part) != stamp.digest:
        return False
    os.utime(path, ns=(found.st_atime_ns, stamp.mtime_ns))
    return True


def _read_stamp(path: Path) -> Stamp | None:
    try:
        return Stamp(**json.loads(_with_suffix(path, ".stamp").read_text(encoding="ascii")))
    except (OSError, ValueError, TypeError):
        return None


def _with_suffix(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _write(path: Path, text: str) -> None:
    """Write a file so that other processes see all of it or nothing."""
    unfinished = _with_suffix(path, f".{uuid4().hex}")
    try:
        unfinished.write_text(text, encoding="ascii")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    """Link a file, or copy it on a file system without hard links, where it takes its room twice."""
    try:
        os.link(source, target)
    except OSError:
        if not source.is_file():
            raise
        shutil.copy2(source, target)


def _flush(folder: Path) -> None:
    """Flush a folder's entries to the disk, before it is renamed to the name of a complete one."""
    for path in _folders(folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _folders(folder: Path) -> Iterator[Path]:
    yield folder
    yield from (path for path in folder.rglob("*") if path.is_dir())
