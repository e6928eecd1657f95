"""A data URL becomes a picture: bytes sniffed, size checked before a pixel is decoded, turned upright, RGB.

Nothing is fetched here and no label is believed: clients send PNG bytes as `image/jpeg`, and the bytes
decide. Only the formats below are ever handed to a decoder. Pillow and numpy come with the first picture.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from inference.images.bounds import excess
from inference.images.queue import DecodeQueue, StderrSilencer

if TYPE_CHECKING:
    from PIL import Image

    from inference.contracts import ImageArray


class ImageError(ValueError):
    """Not a picture that can be read; the message is a sentence for the caller."""


ACCEPTED = "PNG, JPEG, WebP, GIF, BMP or TIFF"
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

ORIENTATION = 0x0112
UPRIGHT: Mapping[int, str] = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""EXIF orientation to the `Image.Transpose` that undoes it (EXIF 2.3, tag 0x0112)."""

METADATA = 4 * 1024 * 1024
"""Bytes of unpacked text that a PNG may carry: Pillow keeps it all, and by itself sixteen times as much."""

TURNS, SILENCE = DecodeQueue(), StderrSilencer()


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file whose header says that it is a picture within the limits; its pixels are not decoded yet."""

    data: bytes = field(repr=False)
    format: str
    """Pillow's name of it."""
    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @classmethod
    def open(cls, data: bytes, max_pixels: int, max_bytes: int | None = None) -> ImageFile:
        """Reads the header. Raises `ImageError`."""
        if max_bytes is not None and len(data) > max_bytes:
            raise ImageError(f"The file has {len(data)} bytes; at most {max_bytes} are accepted.")
        name = _sniff(data)
        if (problem := excess(data, name)) is not None:
            raise ImageError(problem)
        with _opened(data, name, max_pixels) as image:
            width, height = image.size
        if width * height > max_pixels:
            raise ImageError(f"The picture has {width} x {height} pixels; at most {max_pixels} are accepted.")
        return cls(data, name, width, height)

    def decode(self, max_pixels: int) -> ImageArray:
        """The picture: uint8 [height, width, 3], RGB, upright, transparency laid on white.

        Of an animation the first frame. May take long, and waits while others decode more than `max_pixels`
        together: call it off the event loop. Raises `ImageError`.
        """
        with TURNS.of(self.pixels, max_pixels), _opened(self.data, self.format, max_pixels) as image:
            if image.size != (self.width, self.height):
                raise ImageError(f"The {self.format} picture changes its size.")
            image.load()
            return _rgb(_upright(image), self.format)


def read_image(url: str, max_pixels: int) -> ImageArray:
    """The picture of a base64 data URL, as `ImageFile.decode` gives it. Raises `ImageError`."""
    return decode_image(data_of(url), max_pixels)


def decode_image(data: bytes, max_pixels: int) -> ImageArray:
    """The picture in the bytes of a file: uint8 [height, width, 3], RGB. Raises `ImageError`."""
    return ImageFile.open(data, max_pixels).decode(max_pixels)


def is_data_url(url: str) -> bool:
    return url[:5].lower() == "data:"


def data_of(url: str) -> bytes:
    """The bytes of a base64 data URL, whatever they are. Raises `ImageError`."""
    if not is_data_url(url):
        raise ImageError("Pictures are accepted as data URLs only: data:image/png;base64,...")
    label, comma, text = url.partition(",")
    if not comma or not label.lower().rstrip().endswith(";base64"):
        raise ImageError("The data URL is not base64: it must read data:image/png;base64,...")
    data = _base64(text)
    if not data:
        raise ImageError("The data URL is empty.")
    return data


def _base64(text: str) -> bytes:
    """Decodes as browsers do: white space and missing padding are forgiven, other characters are not."""
    compact = "".join(unquote(text).split()).rstrip("=")
    try:
        return b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ImageError("The data URL's base64 is broken.") from None


@contextmanager
def _opened(data: bytes, name: str, max_pixels: int) -> Iterator[Image.Image]:
    """The file open, without its pixels; whatever is raised meanwhile becomes a `ImageError`."""
    from PIL import Image

    with SILENCE:
        try:
            with Image.open(BytesIO(data), formats=[name]) as image:
                yield image
        except ImageError:
            raise
        except Exception as error:  # noqa: BLE001  hostile bytes make decoders fail in every way
            raise ImageError(_sentence(error, name, max_pixels)) from None


def _sniff(data: bytes) -> str:
    """Pillow's name of the format, its decoder registered."""
    for magic, name, module in MAGIC:
        if data.startswith(magic) and (name != "WEBP" or data[8:12] == b"WEBP"):
            _register(module)
            return name
    if b"<svg" in data[:4096].lower():
        raise ImageError(f"SVG is not accepted; send {ACCEPTED}.")
    raise ImageError(f"The data is not a picture that is accepted: {ACCEPTED}.")


@cache
def _register(module: str) -> None:
    """Loads Pillow's module of a format."""
    loaded: Any = import_module(f"PIL.{module}")
    if module == "PngImagePlugin":
        loaded.MAX_TEXT_MEMORY = METADATA


def _sentence(error: Exception, name: str, max_pixels: int) -> str:
    if type(error).__name__ == "DecompressionBombError":
        return f"The {name} picture has too many pixels; at most {max_pixels} are accepted."
    return f"The {name} picture is damaged, cut off, or of a kind that cannot be read."


def _upright(image: Image.Image) -> Image.Image:
    from PIL.Image import Transpose

    try:
        orientation = image.getexif().get(ORIENTATION)
    except Exception:  # noqa: BLE001  broken metadata says nothing about the pixels
        return image
    method = UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image.transpose(Transpose[method]) if method else image


def _rgb(image: Image.Image, name: str) -> ImageArray:
    import numpy as np

    # Pillow before 11 opens the 16-bit samples of PNG as mode I.
    if image.mode.startswith("I;16") or (image.mode == "I" and name == "PNG"):
        return _gray16(image)
    if image.mode in ("I", "F"):
        raise ImageError("Pictures of 32 bits a channel are not accepted; send 8 or 16 bits.")
    if image.has_transparency_data:
        image = _on_white(image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def _gray16(image: Image.Image) -> ImageArray:
    """The high byte of every sample, as decoders of 16-bit colour take it."""
    import numpy as np

    gray = (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)


def _on_white(image: Image.Image) -> Image.Image:
    from PIL import Image as Pillow

    return Pillow.alpha_composite(Pillow.new("RGBA", image.size, "white"), image)
