"""Which ranges of a partial file are on the disk, each with its CRC-32: what a killed fetch leaves behind.

A line a range, appended after the range was written. A line that is cut, or a range whose bytes are not what
its line says (the machine may have stopped before they reached the disk), counts for nothing. SHA-256 took
four times as long and, on two cores, a fifth of the speed of fetching; nobody means to deceive us here.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Container, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import md5, sha256
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING
from zlib import crc32

from inference.blobs.client import PART, told
from inference.blobs.errors import BlobCorrupt, DiskFull, FetchStopped
from inference.blobs.listing import Blob

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient


class Journal:
    """The finished ranges of one version of one blob, by their number."""

    def __init__(self, path: Path, partial: Path, etag: str, size: int, part: int) -> None:
        """Reads what an earlier fetch wrote, and checks it against the partial file's bytes."""
        self._path = path
        self._etag = etag
        self._lock = Lock()
        self._size = size
        self._part = part
        self.sums: dict[int, int] = dict(self._verified(partial))

    @property
    def missing(self) -> list[int]:
        return [number for number in range(parts(self._size, self._part)) if number not in self.sums]

    @property
    def there(self) -> int:
        """Bytes that need not be fetched again."""
        return sum(length(number, self._size, self._part) for number in self.sums)

    def add(self, number: int, content: bytes) -> None:
        """Notes a range that was written."""
        checksum = crc32(content)
        noted = {"etag": self._etag, "part": number, "of": self._part, "crc32": checksum}
        line = json.dumps(noted) + "\n"
        with self._lock, self._path.open("a", encoding="ascii") as lines:
            lines.write(line)
            self.sums[number] = checksum

    def _verified(self, partial: Path) -> Iterator[tuple[int, int]]:
        try:
            descriptor = os.open(partial, os.O_RDONLY)
        except OSError:
            return
        try:
            for number, checksum in self._noted():
                content = os.pread(descriptor, length(number, self._size, self._part), number * self._part)
                if crc32(content) == checksum:
                    yield number, checksum
        finally:
            os.close(descriptor)

    def _noted(self) -> Iterator[tuple[int, int]]:
        try:
            lines = self._path.read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            return
        for line in lines:
            try:
                noted = json.loads(line)
                ours = noted["etag"] == self._etag and noted["of"] == self._part
                if ours and 0 <= noted["part"] < parts(self._size, self._part):
                    yield int(noted["part"]), int(noted["crc32"])
            except (ValueError, KeyError, TypeError):
                continue


def parts(size: int, part: int) -> int:
    """How many ranges a blob has."""
    return -(-size // part)


def length(number: int, size: int, part: int) -> int:
    """Bytes of a range: all are alike but the last."""
    return min(part, size - number * part)


THREADS = 4
"""Ranges at once. On two cores eight were no faster than four, and each holds a range in memory."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Count = Callable[[int], None]
"""Is told of so many bytes more (fewer, where some have to be fetched again); called from several threads."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What is noted of a file when it is whole."""

    size: int
    mtime_ns: int
    part: int
    """Bytes of the ranges that the digest is made of."""
    digest: str
    """See `digest_of`."""


class Transfer:
    """One blob on its way into `target`; `target`.partial and `target`.ranges are what it leaves when cut."""

    def __init__(
        self,
        client: ContainerClient,
        blob: Blob,
        target: Path,
        *,
        count: Count,
        stop: Event,
        part: int = PART,
    ) -> None:
        self._client: BlobClient = client.get_blob_client(blob.name)
        self._blob = blob
        self._target = target
        self._partial = target.with_name(target.name + ".partial")
        self._ranges = target.with_name(target.name + ".ranges")
        self._count = count
        self._stop = stop
        self._part = part

    def run(self, pool: ThreadPoolExecutor) -> Stamp:
        """Fetches until everything is on the disk beside `target`, where `commit` puts it.

        Raises `BlobError`; what was fetched until then is kept, unless it is of no use any more.
        """
        with enough_room(self._blob.name):
            self._target.parent.mkdir(parents=True, exist_ok=True)
            journal = Journal(self._ranges, self._partial, self._blob.etag, self._blob.size, self._part)
            self._count(journal.there)
            descriptor = os.open(self._partial, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.ftruncate(descriptor, self._blob.size)
                self._fetch(descriptor, journal, pool)
                os.fsync(descriptor)
                written = os.fstat(descriptor).st_mtime_ns
            finally:
                os.close(descriptor)
        ranges = [journal.sums[number] for number in sorted(journal.sums)]
        return Stamp(self._blob.size, written, self._part, digest(ranges))

    def commit(self) -> None:
        """Gives the file its name."""
        self._partial.replace(self._target)
        self._ranges.unlink(missing_ok=True)

    def discard(self) -> None:
        """Takes away what an unfinished fetch left."""
        self._partial.unlink(missing_ok=True)
        self._ranges.unlink(missing_ok=True)

    def _fetch(self, descriptor: int, journal: Journal, pool: ThreadPoolExecutor) -> None:
        check = Md5Check(self._blob, descriptor, self._part)
        waiting = iter(journal.missing)
        running: set[Future[None]] = set()
        try:
            while True:
                while len(running) < THREADS and (number := next(waiting, None)) is not None:
                    running.add(pool.submit(self._range, number, descriptor, journal))
                check.advance(journal.sums)
                if not running:
                    break
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for one in done:
                    one.result()
        finally:
            # The descriptor is closed next: nobody may write to it any more.
            wait(running)
        if not check.passed:
            self._count(-self._blob.size)
            self.discard()
            raise BlobCorrupt(f"{self._blob.name}: the bytes that came are not those of its Content-MD5")

    def _range(self, number: int, descriptor: int, journal: Journal) -> None:
        from azure.core import MatchConditions

        if self._stop.is_set():
            raise FetchStopped
        size = length(number, self._blob.size, self._part)
        with told(f"Reading {self._blob.name}"):
            content: bytes = self._client.download_blob(
                offset=number * self._part,
                length=size,
                etag=f'"{self._blob.etag}"',
                match_condition=MatchConditions.IfNotModified,
                max_concurrency=1,
                encoding=None,
            ).readall()
        if len(content) != size:
            raise BlobCorrupt(f"{self._blob.name}: {len(content)} bytes came for a range of {size}")
        with enough_room(self._blob.name):
            _write(descriptor, content, number * self._part)
            journal.add(number, content)
        self._count(size)


class Md5Check:
    """The MD5 of a file that is written in ranges, taken as far as they reach without a gap."""

    def __init__(self, blob: Blob, descriptor: int, part: int) -> None:
        self._expected = blob.md5
        self._size = blob.size
        self._descriptor = descriptor
        self._part = part
        self._next = 0
        self._md5 = md5(usedforsecurity=False)

    def advance(self, there: Container[int]) -> None:
        while self._expected is not None and self._next in there:
            count = length(self._next, self._size, self._part)
            self._md5.update(os.pread(self._descriptor, count, self._next * self._part))
            self._next += 1

    @property
    def passed(self) -> bool:
        """Whether the whole file is what its writer said; nobody said anything of some."""
        return self._expected is None or self._md5.digest() == self._expected


def digest(ranges: list[int]) -> str:
    """Of a file, from the CRC-32 of its ranges in order: computed while they arrive, in any order."""
    return sha256(b"".join(each.to_bytes(4, "big") for each in ranges)).hexdigest()


def digest_of(path: Path, part: int) -> str:
    """The same of a file that lies there. Takes some tenths of a second for a gigabyte in memory."""
    with path.open("rb") as file:
        count = parts(path.stat().st_size, part)
        return digest([crc32(file.read(part)) for _ in range(count)])


def _write(descriptor: int, content: bytes, offset: int) -> None:
    left = memoryview(content)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


@contextmanager
def enough_room(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DiskFull(f"{name}: the disk is full ({os.strerror(error.errno)})") from None
