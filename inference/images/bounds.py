"""Bounds on the structure of an image file, checked before a decoder reads it.

The pixels of an image are bounded by its header. These bounds are for the rest: files of a few megabytes that
consist of millions of parts (Pillow takes seconds and hundreds of megabytes for them), and progressive JPEGs
of thousands of scans, each of which passes over every pixel. No encoder comes near any of them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

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
