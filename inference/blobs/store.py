"""The folder on the local disk that fetched deployments are kept in; processes may share it.

    objects/KEY             a whole file, by account, container, path and ETag
    objects/KEY.stamp       its size, its date and its digest, noted when it was whole
    objects/KEY.partial     what is there of a file so far; .ranges says which parts of it
    folders/VERSION/        a deployment: hard links to objects, made elsewhere and renamed when complete
    folders/VERSION.lock    shared by processes that have it open; its date is the last use

So a deployment's folder is there with all of its right files, or not at all.
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

from inference.blobs.client import PART
from inference.blobs.disk import DiskBudget, FileLock, locked
from inference.blobs.listing import Blob, BlobFolder, key_of
from inference.blobs.transfer import Count, Stamp, Transfer, digest_of, enough_room

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


class Store:
    """What is fetched, and what is done with it."""

    def __init__(self, root: Path, *, limit: int, part: int = PART) -> None:
        """`limit`: the most bytes; 0: what the disk has. `part`: bytes of a range."""
        self._part = part
        self._objects = root / "objects"
        self._folders = root / "folders"
        self.room = DiskBudget(root, limit=limit)

    def path(self, folder: BlobFolder) -> Path:
        """Where a deployment's files lie once they are there."""
        return self._folders / folder.version

    def ready(self, folder: BlobFolder) -> bool:
        """Whether a deployment is there, with files that nobody touched since they were fetched.

        A file of another date is read through once more; what is not what was fetched is thrown away.
        """
        home = self.path(folder)
        if not home.is_dir():
            return False
        bad = [blob for blob in folder.blobs if not self._sound(home / blob.path, self._object(folder, blob))]
        self._drop(folder, bad)
        return not bad

    def verify(self, folder: BlobFolder) -> bool:
        """Whether every byte is the one that was fetched; what is not is thrown away, to be fetched again."""
        home = self.path(folder)
        bad = []
        for blob in folder.blobs:
            stamp, path = _stamp(self._object(folder, blob)), home / blob.path
            if stamp is None or not path.is_file() or digest_of(path, stamp.part) != stamp.digest:
                bad.append(blob)
        self._drop(folder, bad)
        return not bad

    def hold(self, folder: BlobFolder) -> FileLock | None:
        """Keeps a deployment from giving way until the lock is released; None where it is not there."""
        lock = FileLock(self._lock(folder))
        if not lock.acquire(shared=True):
            return None  # somebody is taking it away just now
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
        count: Count,
        stop: Event,
        keep: Collection[str] = (),
    ) -> None:
        """Fetches what is missing and puts the folder together. Waits for a process that is at it already.

        `keep`: versions that do not give way for it. Raises `BlobError`, and `FetchStopped`.
        """
        with enough_room(folder.name), ExitStack() as held:
            for blob in sorted(folder.blobs, key=lambda blob: key_of(folder.container, blob)):
                held.enter_context(locked(_beside(self._object(folder, blob), ".lock"), stop))
            if self.ready(folder):
                count(folder.size)
                return
            missing = [blob for blob in folder.blobs if not self._have(folder, blob)]
            lacking = sum(max(0, blob.size - self._begun(folder, blob)) for blob in missing)
            self.room.make(lacking, keep={folder.version, *keep})
            count(sum(blob.size for blob in folder.blobs if blob not in missing))
            for blob in missing:
                self._fetch(folder, blob, client, pool, count, stop)
            self._assemble(folder)

    def _fetch(
        self,
        folder: BlobFolder,
        blob: Blob,
        client: ContainerClient,
        pool: ThreadPoolExecutor,
        count: Count,
        stop: Event,
    ) -> None:
        target = self._object(folder, blob)
        transfer = Transfer(client, blob, target, count=count, stop=stop, part=self._part)
        stamp = transfer.run(pool)
        _write(_beside(target, ".stamp"), json.dumps(asdict(stamp)))
        transfer.commit()

    def _assemble(self, folder: BlobFolder) -> None:
        made = self._folders / f".{folder.version}-{uuid4().hex}"
        try:
            for blob in folder.blobs:
                path = made / blob.path
                path.parent.mkdir(parents=True, exist_ok=True)
                _link(self._object(folder, blob), path)
            _flush(made)
            self._lock(folder).touch()
            made.rename(self.path(folder))
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def _begun(self, folder: BlobFolder, blob: Blob) -> int:
        """Bytes of the disk that an earlier fetch has taken already."""
        partial = _beside(self._object(folder, blob), ".partial")
        return partial.stat().st_blocks * 512 if partial.is_file() else 0

    def _have(self, folder: BlobFolder, blob: Blob) -> bool:
        path = self._object(folder, blob)
        if self._sound(path, path):
            return True
        path.unlink(missing_ok=True)
        return False

    def _sound(self, path: Path, kept: Path) -> bool:
        stamp = _stamp(kept)
        try:
            found = path.stat()
        except OSError:
            return False
        if stamp is None or found.st_size != stamp.size:
            return False
        if found.st_mtime_ns == stamp.mtime_ns:
            return True
        if digest_of(path, stamp.part) != stamp.digest:
            return False
        os.utime(path, ns=(found.st_atime_ns, stamp.mtime_ns))
        return True

    def _drop(self, folder: BlobFolder, bad: list[Blob]) -> None:
        if bad:
            shutil.rmtree(self.path(folder), ignore_errors=True)
        for blob in bad:
            self._object(folder, blob).unlink(missing_ok=True)

    def _object(self, folder: BlobFolder, blob: Blob) -> Path:
        return self._objects / key_of(folder.container, blob)

    def _lock(self, folder: BlobFolder) -> Path:
        return _beside(self.path(folder), ".lock")


def _stamp(path: Path) -> Stamp | None:
    try:
        return Stamp(**json.loads(_beside(path, ".stamp").read_text(encoding="ascii")))
    except (OSError, ValueError, TypeError):
        return None


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _write(path: Path, text: str) -> None:
    """All of it, or nothing."""
    made = _beside(path, f".{uuid4().hex}")
    try:
        made.write_text(text, encoding="ascii")
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    """Some file systems have no hard links; there a deployment takes its room twice."""
    try:
        os.link(source, target)
    except OSError:
        if not source.is_file():
            raise
        shutil.copy2(source, target)


def _flush(folder: Path) -> None:
    """Brings a folder's entries to the disk, before it gets the name that says it is complete."""
    for path in _folders(folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _folders(folder: Path) -> Iterator[Path]:
    yield folder
    yield from (path for path in folder.rglob("*") if path.is_dir())
