"""The transfer of one blob to the disk, in ranges that threads fetch and a journal records.

The journal lets a process resume what a killed one began: a line for each range on the disk, with the CRC-32
of its bytes, appended after the range was written. An incomplete line does not count, nor does a range whose
bytes have another checksum, as after a power failure. SHA-256 took four times as long and, on two cores, a
fifth of the rate of fetching; the checksum is against accidents, not against attacks.
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

from inference.blobs.client import RANGE_BYTES, translate_errors
from inference.blobs.errors import BlobCorrupt, DiskFull, FetchStopped
from inference.blobs.listing import Blob

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient

THREADS = 4
"""Ranges fetched at once. On two cores 8 were no faster than 4, and each takes memory for a range."""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

OnBytes = Callable[[int], None]
"""A callback with the bytes added; negative if some have to be fetched again. Called from several threads."""


class Journal:
    """The finished ranges of one version of one blob, by their number."""

    def __init__(self, path: Path, partial: Path, etag: str, size: int, part: int) -> None:
        """Read the ranges that an earlier fetch recorded and whose bytes the partial file has."""
        self._path = path
        self._etag = etag
        self._lock = Lock()
        self._size = size
        self._part = part
        self.checksums: dict[int, int] = dict(self._verified(partial))

    @property
    def missing(self) -> list[int]:
        """The numbers of the ranges to fetch."""
        return [
            number for number in range(range_count(self._size, self._part)) if number not in self.checksums
        ]

    @property
    def fetched(self) -> int:
        """Bytes of the finished ranges."""
        return sum(range_length(number, self._size, self._part) for number in self.checksums)

    def add(self, number: int, content: bytes) -> None:
        """Record a range that was written."""
        checksum = crc32(content)
        entry = {"etag": self._etag, "part": number, "of": self._part, "crc32": checksum}
        line = json.dumps(entry) + "\n"
        with self._lock, self._path.open("a", encoding="ascii") as lines:
            lines.write(line)
            self.checksums[number] = checksum

    def _verified(self, partial: Path) -> Iterator[tuple[int, int]]:
        try:
            descriptor = os.open(partial, os.O_RDONLY)
        except OSError:
            return
        try:
            for number, checksum in self._entries():
                length = range_length(number, self._size, self._part)
                if crc32(os.pread(descriptor, length, number * self._part)) == checksum:
                    yield number, checksum
        finally:
            os.close(descriptor)

    def _entries(self) -> Iterator[tuple[int, int]]:
        try:
            lines = self._path.read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            return
        for line in lines:
            try:
                entry = json.loads(line)
                ours = entry["etag"] == self._etag and entry["of"] == self._part
                if ours and 0 <= entry["part"] < range_count(self._size, self._part):
                    yield int(entry["part"]), int(entry["crc32"])
            except (ValueError, KeyError, TypeError):
                continue


@dataclass(frozen=True, slots=True)
class Stamp:
    """The description of a complete file, stored as JSON."""

    size: int
    mtime_ns: int
    part: int
    """Bytes of the ranges that the digest is made of."""
    digest: str
    """See `file_digest`."""


class Transfer:
    """One blob on its way to `target`; an interrupted one leaves `target`.partial and `target`.ranges."""

    def __init__(
        self,
        client: ContainerClient,
        blob: Blob,
        target: Path,
        *,
        count: OnBytes,
        stop: Event,
        part: int = RANGE_BYTES,
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
        """Fetch all missing ranges into the partial file, which `commit` renames to `target`.

        Raises `BlobError`; the ranges fetched before are kept, unless they are wrong.
        """
        with translate_disk_full(self._blob.name):
            self._target.parent.mkdir(parents=True, exist_ok=True)
            journal = Journal(self._ranges, self._partial, self._blob.etag, self._blob.size, self._part)
            self._count(journal.fetched)
            descriptor = os.open(self._partial, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.ftruncate(descriptor, self._blob.size)
                self._fetch(descriptor, journal, pool)
                os.fsync(descriptor)
                written = os.fstat(descriptor).st_mtime_ns
            finally:
                os.close(descriptor)
        checksums = [journal.checksums[number] for number in sorted(journal.checksums)]
        return Stamp(self._blob.size, written, self._part, digest_of(checksums))

    def commit(self) -> None:
        """Rename the complete file to `target`."""
        self._partial.replace(self._target)
        self._ranges.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove all that an incomplete fetch left."""
        self._partial.unlink(missing_ok=True)
        self._ranges.unlink(missing_ok=True)

    def _fetch(self, descriptor: int, journal: Journal, pool: ThreadPoolExecutor) -> None:
        check = Md5Check(self._blob, descriptor, self._part)
        waiting = iter(journal.missing)
        running: set[Future[None]] = set()
        try:
            while True:
                while len(running) < THREADS and (number := next(waiting, None)) is not None:
                    running.add(pool.submit(self._fetch_range, number, descriptor, journal))
                check.advance(journal.checksums)
                if not running:
                    break
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for one in done:
                    one.result()
        finally:
            # The descriptor is closed next, so no thread may write to it any more.
            wait(running)
        if not check.passed:
            self._count(-self._blob.size)
            self.discard()
            raise BlobCorrupt(f"{self._blob.name}: the bytes received are not those of its Content-MD5")

    def _fetch_range(self, number: int, descriptor: int, journal: Journal) -> None:
        from azure.core import MatchConditions

        if self._stop.is_set():
            raise FetchStopped
        length = range_length(number, self._blob.size, self._part)
        with translate_errors(f"Reading {self._blob.name}"):
            content: bytes = self._client.download_blob(
                offset=number * self._part,
                length=length,
                etag=f'"{self._blob.etag}"',
                match_condition=MatchConditions.IfNotModified,
                max_concurrency=1,
                encoding=None,
            ).readall()
        if len(content) != length:
            raise BlobCorrupt(f"{self._blob.name}: received {len(content)} bytes for a range of {length}")
        with translate_disk_full(self._blob.name):
            _write(descriptor, content, number * self._part)
            journal.add(number, content)
        self._count(length)


class Md5Check:
    """The MD5 of a file that is written in ranges, computed up to the first range that is missing."""

    def __init__(self, blob: Blob, descriptor: int, part: int) -> None:
        self._expected = blob.md5
        self._size = blob.size
        self._descriptor = descriptor
        self._part = part
        self._next = 0
        self._md5 = md5(usedforsecurity=False)

    def advance(self, finished: Container[int]) -> None:
        """Add the ranges that follow without a gap, by the numbers of those finished."""
        while self._expected is not None and self._next in finished:
            length = range_length(self._next, self._size, self._part)
            self._md5.update(os.pread(self._descriptor, length, self._next * self._part))
            self._next += 1

    @property
    def passed(self) -> bool:
        """True if the complete file has the blob's Content-MD5, or the blob has none."""
        return self._expected is None or self._md5.digest() == self._expected


def range_count(size: int, part: int) -> int:
    """Return the number of ranges of a blob of `size` bytes."""
    return -(-size // part)


def range_length(number: int, size: int, part: int) -> int:
    """Return the bytes of a range: `part`, or less for the last one."""
    return min(part, size - number * part)


def digest_of(checksums: list[int]) -> str:
    """Return the digest of a file from the CRC-32 of its ranges, which may be computed in any sequence."""
    return sha256(b"".join(checksum.to_bytes(4, "big") for checksum in checksums)).hexdigest()


def file_digest(path: Path, part: int) -> str:
    """Return the digest of a file on the disk; some tenths of a second for a gigabyte in memory."""
    with path.open("rb") as file:
        count = range_count(path.stat().st_size, part)
        return digest_of([crc32(file.read(part)) for _ in range(count)])


def _write(descriptor: int, content: bytes, offset: int) -> None:
    left = memoryview(content)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


@contextmanager
def translate_disk_full(name: str) -> Iterator[None]:
    """Raise the system's errors of a full disk as `DiskFull` that names a file or a deployment."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise DiskFull(f"{name}: the disk is full ({os.strerror(error.errno)})") from None
