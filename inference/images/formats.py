"""The formats of image files: known by their first bytes, and only these are ever passed to a decoder."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


class ImageError(ValueError):
    """An image that cannot be read; the message is a sentence for the caller."""


ACCEPTED_FORMATS = "PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF"
MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG", "PngImagePlugin"),
    (b"\xff\xd8\xff", "JPEG", "JpegImagePlugin"),
    (b"GIF87a", "GIF", "GifImagePlugin"),
    (b"GIF89a", "GIF", "GifImagePlugin"),
    (b"BM", "BMP", "BmpImagePlugin"),
    (b"II*\x00", "TIFF", "TiffImagePlugin"),
    (b"MM\x00*", "TIFF", "TiffImagePlugin"),
    (b"RIFF", "WEBP", "WebPImagePlugin"),
)
"""First bytes, Pillow's name of the format, Pillow's module for it."""

AVIF_BRANDS = frozenset({b"avif", b"avis"})
HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1"})
"""Brands in the first box, `ftyp`, of ISO/IEC 23008-12; AVIF files may have `mif1` besides theirs."""
MAX_BRANDS = 64

MAX_PNG_TEXT_BYTES = 4 * 1024 * 1024
"""Bytes of unpacked text that a PNG may carry: Pillow keeps it all, and by default sixteen times as much."""


def sniff(data: bytes) -> str:
    """Return Pillow's name of the format, its decoder registered. Raises `ImageError`."""
    for magic, file_format, module in MAGIC:
        if data.startswith(magic) and (file_format != "WEBP" or data[8:12] == b"WEBP"):
            _register(module)
            return file_format
    brands = _brands(data)
    if brands & AVIF_BRANDS:
        return _avif()
    if brands & HEIC_BRANDS:
        return _heif()
    if b"<svg" in data[:4096].lower():
        raise ImageError(f"SVG is not accepted; send {ACCEPTED_FORMATS}.")
    raise ImageError(f"The data is not an image of an accepted format: {ACCEPTED_FORMATS}.")


def has_known_magic(data: bytes) -> bool:
    """Return True for bytes that begin as an image of any known format does."""
    return data.startswith(tuple(magic for magic, _, _ in MAGIC)) or data[4:8] == b"ftyp"


def _brands(data: bytes) -> frozenset[bytes]:
    """Return the brands of a file's first box, an empty set where it is no `ftyp`."""
    if data[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(data[:4]), len(data), 16 + 4 * MAX_BRANDS)
    return frozenset({data[8:12], *(data[start : start + 4] for start in range(16, end, 4))})


@cache
def _register(module: str) -> None:
    """Import Pillow's module of a format."""
    plugin: Any = import_module(f"PIL.{module}")
    if module == "PngImagePlugin":
        plugin.MAX_TEXT_MEMORY = MAX_PNG_TEXT_BYTES


def _avif() -> str:
    """Register Pillow's decoder of AVIF. Raises `ImageError` where Pillow was built without it."""
    from PIL import features

    if not features.check("avif"):
        raise ImageError("AVIF is not read by the Pillow of this server; send PNG, JPEG or WebP.")
    _register("AvifImagePlugin")
    return "AVIF"


@cache
def _heif_registered() -> bool:
    try:
        plugin: Any = import_module("pillow_heif")
    except ImportError:
        return False
    plugin.register_heif_opener()
    return True


def _heif() -> str:
    """Register the decoder of HEIC. Raises `ImageError` where its package is not installed."""
    if not _heif_registered():
        raise ImageError(
            "HEIC is read where the package pillow-heif is installed, which this server lacks; send "
            f"{ACCEPTED_FORMATS}."
        )
    return "HEIF"
