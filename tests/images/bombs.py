"""Hostile image files: small, and crafted to take much memory or time or to pass for another type."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image

MEGABYTE = 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n"
END = b"IEND"


def written(name: str, edge: int = 16, **options: object) -> bytes:
    """Return a valid file of a square image of noise."""
    file = BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (edge, edge, 3), np.uint8)
    Image.fromarray(noise).save(file, name, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header(width: int, height: int) -> bytes:
    return PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def with_chunks(*chunks: bytes) -> bytes:
    """Return a valid PNG with more chunks after its header."""
    data = written("PNG")
    return data[:33] + b"".join(chunks) + data[33:]


@cache
def zeros(megabytes: int) -> bytes:
    """Return megabytes of zeros, compressed to a thousandth."""
    return zlib.compress(bytes(megabytes * MEGABYTE), 9)


def png_that_inflates() -> bytes:
    """Return a PNG that declares ten rows of ten pixels, followed by 200 MB of pixels."""
    return header(10, 10) + chunk(b"IDAT", zeros(200)) + chunk(END, b"")


def png_of_many_texts() -> bytes:
    """Return a PNG of many texts, each within Pillow's limit for one."""
    return with_chunks(*[chunk(b"zTXt", b"key%d\x00\x00" % n + zeros(1)[:-4]) for n in range(100)])


def png_of_many_whole_texts() -> bytes:
    packed = zlib.compress(bytes(MEGABYTE - 1), 9)
    return with_chunks(*[chunk(b"zTXt", b"key%d\x00\x00" % n + packed) for n in range(60)])


def png_of_international_text() -> bytes:
    return with_chunks(chunk(b"iTXt", b"key\x00\x01\x00\x00\x00" + zeros(200)))


def png_with_profile() -> bytes:
    return with_chunks(chunk(b"iCCP", b"profile\x00\x00" + zeros(200)))


def gif(width: int, height: int, frame: tuple[int, int], tail: bytes = b"") -> bytes:
    screen = b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\x00\x00" + bytes(6)
    image = b"," + struct.pack("<HHHH", 0, 0, *frame) + b"\x00"
    return screen + tail + image + b"\x02\x02\x4c\x01\x00;"


def gif_of_comments() -> bytes:
    return gif(4, 4, (4, 4), (b"!\xfe" + (b"\xff" + b"x" * 255) * 200 + b"\x00") * 100)


def gif_of_frames() -> bytes:
    """Return a GIF of a hundred frames of a quarter of a megapixel, each a copy in memory if decoded."""
    frames = [Image.new("RGB", (500, 500), (number, 0, 255 - number)) for number in range(100)]
    file = BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def bmp(width: int, height: int) -> bytes:
    """Return a run-length encoded BMP of one run."""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 4, 0, 0, 256, 0) + bytes(1024)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + 4, 0, 0, 54 + 1024) + info + b"\x04\x00\x00\x01"


def tiff(*entries: tuple[int, int, int, int], after: int = 0, tail: bytes = b"") -> bytes:
    """Return a little-endian TIFF of one directory: entries of tag, type, count and value or offset."""
    table = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\x00" + struct.pack("<I", 8) + table + struct.pack("<I", after) + tail


SHORT, LONG, RATIONAL = 3, 4, 5
GRAY = ((262, SHORT, 1, 1), (258, SHORT, 1, 8), (277, SHORT, 1, 1))


def tiff_of(width: int, height: int, *more: tuple[int, int, int, int], **rest: object) -> bytes:
    entries = [(256, LONG, 1, width), (257, LONG, 1, height), *GRAY, *more]
    return tiff(*sorted(entries), **rest)  # type: ignore[arg-type]


def tiff_of_directories() -> bytes:
    """Return a TIFF of a hundred thousand directories, each linked to the next."""
    first = tiff_of(4, 4, (273, LONG, 1, 8), (279, LONG, 1, 16))
    links = bytearray()
    for number in range(100_000):
        links += struct.pack("<HI", 0, len(first) + 6 * (number + 1))
    return first[:-4] + struct.pack("<I", len(first)) + bytes(links)


def tiff_in_a_cycle() -> bytes:
    return tiff_of(4, 4, (273, LONG, 1, 8), (279, LONG, 1, 16), after=8)


def tiff_that_inflates() -> bytes:
    packed = zeros(200)
    offset = len(tiff_of(4, 4, (259, SHORT, 1, 8), (273, LONG, 1, 0), (279, LONG, 1, len(packed))))
    entries = ((259, SHORT, 1, 8), (273, LONG, 1, offset), (279, LONG, 1, len(packed)))
    return tiff_of(4, 4, *entries, tail=packed)


def webp_canvas() -> bytes:
    """Return a WebP of a small frame on the largest possible canvas."""
    frame = written("WEBP", lossless=True)[12:]
    edge = (16_383).to_bytes(3, "little")
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\x02\x00\x00\x00" + edge + edge
    pace = b"ANIM" + struct.pack("<I", 6) + bytes(6)
    body = bytes(6) + (15).to_bytes(3, "little") * 2 + (100).to_bytes(3, "little") + b"\x00" + frame
    shown = b"ANMF" + struct.pack("<I", len(body)) + body
    file = b"WEBP" + canvas + pace + shown
    return b"RIFF" + struct.pack("<I", len(file)) + file


def jpeg_sized(width: int, height: int) -> bytes:
    data = bytearray(written("JPEG"))
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def jpeg_of_scans() -> bytes:
    """Return a JPEG whose every scan passes over all pixels: a second of work for a few hundred bytes."""
    data = written("JPEG", 64, progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 500 + data[-2:]


def jpeg_of_segments() -> bytes:
    data = written("JPEG")
    return data[:2] + (b"\xff\xed\xff\xff" + bytes(65_533)) * 250 + data[2:]


def jpeg_with_exif(body: bytes) -> bytes:
    data = written("JPEG")
    exif = b"Exif\x00\x00" + body
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def tiff_of_strips() -> bytes:
    """Return a TIFF of a million strips of four pixels that are not there."""
    count = 1_000_000
    offset = len(tiff_of(4, 4, (273, LONG, count, 0), (278, SHORT, 1, 1), (279, LONG, count, 0)))
    entries = ((273, LONG, count, offset), (278, SHORT, 1, 1), (279, LONG, count, offset + 4 * count))
    return tiff_of(4, 4, *entries, tail=struct.pack("<I", 8) * count + struct.pack("<I", 4) * count)


def png_of_chunks() -> bytes:
    return with_chunks(chunk(b"aaAa", b"") * 1_500_000)


def jpeg_of_small_segments() -> bytes:
    data = written("JPEG")
    return data[:2] + b"\xff\xed\x00\x02" * 4_000_000 + data[2:]


def jpeg_with_trailing_film() -> bytes:
    """Return a JPEG as phones write it: a film after the image, with bytes that look like scans."""
    return written("JPEG") + b"ftypmp42" + np.random.default_rng(0).bytes(8 * MEGABYTE) + b"\xff\xda" * 99


BOMBS: Mapping[str, Callable[[], bytes]] = {
    "png, a huge header": lambda: header(2**31 - 1, 2**31 - 1) + chunk(END, b""),
    "png, a large header": lambda: header(60_000, 60_000) + chunk(b"IDAT", zeros(50)) + chunk(END, b""),
    "png, one text": lambda: with_chunks(chunk(b"zTXt", b"key\x00\x00" + zeros(200))),
    "png, many cut texts": png_of_many_texts,
    "png, many texts": png_of_many_whole_texts,
    "png, international text": png_of_international_text,
    "gif, a huge screen": lambda: gif(65_535, 65_535, (4, 4)),
    "gif, a huge frame": lambda: gif(4, 4, (65_535, 65_535)),
    "bmp, a huge header": lambda: bmp(2**31 - 1, 2**31 - 1),
    "bmp, a large header": lambda: bmp(60_000, 60_000),
    "tiff, a huge header": lambda: tiff_of(2**31, 2**31, (273, LONG, 1, 8), (279, LONG, 1, 1)),
    "tiff, a huge count": lambda: tiff_of(4, 4, (273, LONG, 2**32 - 1, 8), (279, LONG, 2**32 - 1, 8)),
    "tiff, too many samples": lambda: tiff((256, LONG, 1, 4), (257, LONG, 1, 4), (277, SHORT, 1, 65_535)),
    "tiff, no entries": lambda: tiff(),
    "tiff, strips beyond its end": lambda: tiff_of(900, 900, (273, LONG, 1, 2**31), (279, LONG, 1, 2**31)),
    "webp, a huge canvas": webp_canvas,
    "jpeg, a huge header": lambda: jpeg_sized(65_500, 65_500),
    "jpeg, many scans": jpeg_of_scans,
    "jpeg, many small segments": jpeg_of_small_segments,
    "png, many chunks": png_of_chunks,
    "tiff, many strips": tiff_of_strips,
    "svg": lambda: b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg' width='1e9'/>",
    "script that begins as a gif": lambda: b"GIF89a/*" + bytes(64) + b"*/=1;alert(1)//",
    "zip that begins as a png": lambda: PNG + b"PK\x03\x04" + bytes(200),
    "page that begins as a jpeg": lambda: b"\xff\xd8\xff<html><script>alert(1)</script></html>",
    "program that begins as a bmp": lambda: b"BMMZ" + bytes(300),
    "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99999 99999\n",
    "avif": lambda: b"\x00\x00\x00\x20ftypavif" + bytes(100),
    "ico": lambda: b"\x00\x00\x01\x00\x01\x00" + bytes(100),
}
"""Files that are refused."""

HARMLESS: Mapping[str, Callable[[], bytes]] = {
    "png, more pixels than declared": png_that_inflates,
    "png, a profile": png_with_profile,
    "gif, comments": gif_of_comments,
    "gif, many frames": gif_of_frames,
    "tiff, many directories": tiff_of_directories,
    "tiff, directories in a cycle": tiff_in_a_cycle,
    "tiff, more pixels than declared": tiff_that_inflates,
    "jpeg, many segments": jpeg_of_segments,
    "jpeg, metadata in a cycle": lambda: jpeg_with_exif(tiff((34665, LONG, 1, 8), after=8)),
    "jpeg, metadata of a huge count": lambda: jpeg_with_exif(tiff((274, SHORT, 2**32 - 1, 8))),
    "jpeg, metadata of any bytes": lambda: jpeg_with_exif(bytes(range(256)) * 100),
    "jpeg, a film after it": jpeg_with_trailing_film,
    "png, a zip after it": lambda: written("PNG") + b"PK\x03\x04" + bytes(1000),
}
"""Files that are refused or decoded to their valid part; the rest of them is not read."""
