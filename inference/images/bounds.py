"""How a file is built, looked at before a decoder does: what would cost it much time or memory is refused.

A picture's pixels are bounded by its header. These bounds are for the rest: files of a few megabytes that are
made of millions of parts (Pillow takes seconds and hundreds of megabytes for them), and progressive JPEGs of
thousands of scans, each of which passes over every pixel. No encoder comes near any of them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

SCANS = 64
"""Of a progressive JPEG; encoders write some ten."""
SEGMENTS = 5_000
"""Of a JPEG; a profile or a depth map of 16 MB takes 250."""
CHUNKS = 20_000
"""Of a PNG; libpng writes one for every 8 KB, others for every row."""
STRIPS = 65_536
"""Of a TIFF; usual are one for every 8 KB or for every row."""

MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""Of JPEG. Among compressed pixels 0xFF is followed by 0 or by one of the eight restart markers."""
START, END, SCAN, ALONE = 0xD8, 0xD9, 0xDA, 0x01
PLACES = (273, 279, 324, 325)
"""TIFF's tags of where strips and tiles begin and of how long they are."""


def excess(data: bytes, name: str) -> str | None:
    """What a file of that format has too much of, as a sentence; None where it has not."""
    look = LOOKS.get(name)
    return look(data) if look else None


def _jpeg(data: bytes) -> str | None:
    scans = segments = 0
    for kind in islice(_markers(data), SEGMENTS + 1):
        segments += 1
        scans += kind == SCAN
        if scans > SCANS:
            return f"The JPEG picture has more than {SCANS} scans."
    return f"The JPEG picture has more than {SEGMENTS} segments." if segments > SEGMENTS else None


def _markers(data: bytes) -> Iterator[int]:
    """The markers up to the picture's end: what stands behind it is not read."""
    place = 0
    while found := MARKER.search(data, place):
        kind = data[found.end() - 1]
        if kind == END:
            return
        yield kind
        alone = kind in (START, ALONE)
        place = found.end() + (0 if alone else int.from_bytes(data[found.end() : found.end() + 2]))


def _png(data: bytes) -> str | None:
    place = 8
    for _ in range(CHUNKS):
        if place + 8 > len(data) or data[place + 4 : place + 8] == b"IEND":
            return None
        place += 12 + int.from_bytes(data[place : place + 4])
    return f"The PNG picture has more than {CHUNKS} chunks."


def _tiff(data: bytes) -> str | None:
    order = "<" if data.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, start)
        for entry in range(entries):
            tag, _, count = struct.unpack_from(f"{order}HHI", data, start + 2 + 12 * entry)
            if tag in PLACES and count > STRIPS:
                return f"The TIFF picture has more than {STRIPS} strips."
    except struct.error:  # cut off: the decoder says so
        pass
    return None


LOOKS: Mapping[str, Callable[[bytes], str | None]] = {"JPEG": _jpeg, "PNG": _png, "TIFF": _tiff}
"""Pillow's names of the formats that are looked at."""
