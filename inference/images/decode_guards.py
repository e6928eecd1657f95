"""Guards of the decoding of images: bounds on a file's structure, and on the images decoded at once.

The pixels of an image are bounded by its header. These bounds are for the rest: files of a few megabytes that
consist of millions of parts (Pillow takes seconds and hundreds of megabytes for them), and progressive JPEGs
of thousands of scans, each of which passes over every pixel. No encoder comes near any of them.
"""

from __future__ import annotations

import re
import struct
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from threading import Condition, Lock

MAX_SCANS = 64
"""Scans of a progressive JPEG; encoders write some ten."""
MAX_SEGMENTS = 5_000
"""Segments of a JPEG; a profile or a depth map of 16 MB takes 250."""
MAX_CHUNKS = 20_000
"""Chunks of a PNG; libpng writes one for every 8 KB, others for every row."""
MAX_STRIPS = 65_536
"""Strips of a TIFF; usual are one for every 8 KB or for every row."""

MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker of JPEG. In entropy-coded data 0xFF is followed by 0 or by one of the eight restart markers."""
SOI, EOI, SOS, TEM = 0xD8, 0xD9, 0xDA, 0x01
"""Start of image, end of image, start of scan, temporary marker; of these SOS alone has a length field."""
STRIP_TAGS = (273, 279, 324, 325)
"""TIFF's tags for the offsets and the byte counts of strips and tiles."""


def exceeded_bound(data: bytes, file_format: str) -> str | None:
    """Return a sentence about the bound that a file exceeds, or None; `file_format` is Pillow's name."""
    check = CHECKS.get(file_format)
    return check(data) if check else None


def _check_jpeg(data: bytes) -> str | None:
    scans = segments = 0
    for marker in islice(_markers(data), MAX_SEGMENTS + 1):
        segments += 1
        scans += marker == SOS
        if scans > MAX_SCANS:
            return f"The JPEG image has more than {MAX_SCANS} scans, the most that are accepted."
    if segments > MAX_SEGMENTS:
        return f"The JPEG image has more than {MAX_SEGMENTS} segments, the most that are accepted."
    return None


def _markers(data: bytes) -> Iterator[int]:
    """Yield the markers up to the end of the image; bytes after it are not read."""
    offset = 0
    while found := MARKER.search(data, offset):
        marker = data[found.end() - 1]
        if marker == EOI:
            return
        yield marker
        offset = found.end()
        if marker not in (SOI, TEM):
            offset += int.from_bytes(data[offset : offset + 2])


def _check_png(data: bytes) -> str | None:
    offset = 8
    for _ in range(MAX_CHUNKS):
        if offset + 8 > len(data) or data[offset + 4 : offset + 8] == b"IEND":
            return None
        offset += 12 + int.from_bytes(data[offset : offset + 4])
    return f"The PNG image has more than {MAX_CHUNKS} chunks, the most that are accepted."


def _check_tiff(data: bytes) -> str | None:
    byte_order = "<" if data.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(f"{byte_order}I", data, 4)
        (entries,) = struct.unpack_from(f"{byte_order}H", data, start)
        for entry in range(entries):
            tag, _, count = struct.unpack_from(f"{byte_order}HHI", data, start + 2 + 12 * entry)
            if tag in STRIP_TAGS and count > MAX_STRIPS:
                return f"The TIFF image has more than {MAX_STRIPS} strips, the most that are accepted."
    except struct.error:  # A file that is cut off is refused by the decoder.
        pass
    return None


CHECKS: Mapping[str, Callable[[bytes], str | None]] = {
    "JPEG": _check_jpeg,
    "PNG": _check_png,
    "TIFF": _check_tiff,
}
"""The check of each format that needs one, by Pillow's name of the format."""


class DecodeQueue:
    """A first-come, first-served queue: as many images at once as have together no more pixels than allowed.

    A large image is never passed by small ones that would fit before it.
    """

    def __init__(self) -> None:
        self._condition = Condition()
        self._waiting: deque[object] = deque()
        self._pixels = 0

    @property
    def waiting(self) -> int:
        """The number of images that wait."""
        return len(self._waiting)

    @contextmanager
    def slot(self, pixels: int, max_pixels: int) -> Iterator[None]:
        """Wait until an image fits among others of `max_pixels` together; a larger one is admitted alone."""
        ticket = object()
        with self._condition:
            self._waiting.append(ticket)
            self._condition.wait_for(
                lambda: (
                    self._waiting[0] is ticket and (not self._pixels or self._pixels + pixels <= max_pixels)
                )
            )
            self._waiting.popleft()
            self._pixels += pixels
            self._condition.notify_all()
        try:
            yield
        finally:
            with self._condition:
                self._pixels -= pixels
                self._condition.notify_all()


class WarningSilencer:
    """A context manager that ignores warnings while any thread is inside; `catch_warnings` is for one thread.

    Pillow warns of odd metadata and of sizes near its own limit, which are either refused or harmless, and
    Python would remember the text of every warning for ever.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._caught: warnings.catch_warnings[None] | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._caught is not None:
                self._caught.__exit__(None, None, None)
                self._caught = None
