"""Decoding of image files: format sniffed, size checked before a pixel is decoded, turned upright, RGB.

Nothing is fetched here and no label is trusted: clients send PNG bytes as `image/jpeg`, and the bytes decide.
Only the formats below are ever passed to a decoder. Pillow and numpy are imported with the first image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from inference.images.data_urls import data_url_bytes
from inference.images.decode_guards import DecodeQueue, WarningSilencer, exceeded_bound
from inference.images.formats import ImageError, sniff

if TYPE_CHECKING:
    from PIL import Image

    from inference.contracts import ImageArray


ORIENTATION_TAG = 0x0112
TRANSPOSES: Mapping[int, str] = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""EXIF orientation to the `Image.Transpose` that undoes it (EXIF 2.3, tag 0x0112)."""

DECODE_QUEUE, SILENCED_WARNINGS = DecodeQueue(), WarningSilencer()


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file whose header describes an image within the limits; its pixels are not decoded yet."""

    data: bytes = field(repr=False)
    format: str
    """Pillow's name of the format."""
    width: int
    height: int

    @property
    def pixels(self) -> int:
        """The number of pixels."""
        return self.width * self.height

    @classmethod
    def open(cls, data: bytes, max_pixels: int, max_bytes: int | None = None) -> ImageFile:
        """Read the header of a file. Raises `ImageError`."""
        if max_bytes is not None and len(data) > max_bytes:
            raise ImageError(f"The file has {len(data)} bytes; at most {max_bytes} are accepted.")
        file_format = sniff(data)
        if (problem := exceeded_bound(data, file_format)) is not None:
            raise ImageError(problem)
        with _open_image(data, file_format, max_pixels) as image:
            width, height = image.size
        if width * height > max_pixels:
            raise ImageError(f"The image has {width} x {height} pixels; at most {max_pixels} are accepted.")
        return cls(data, file_format, width, height)

    def decode(self, max_pixels: int) -> ImageArray:
        """Return the image: uint8 [height, width, 3], RGB, upright, transparency blended with white.

        An animation gives its first frame. May take long, and waits while other threads decode more than
        `max_pixels` together: call it off the event loop. Raises `ImageError`.
        """
        with (
            DECODE_QUEUE.slot(self.pixels, max_pixels),
            _open_image(self.data, self.format, max_pixels) as image,
        ):
            if image.size != (self.width, self.height):
                raise ImageError(f"The size of the {self.format} image differs from its header's.")
            image.load()
            return _to_rgb(_upright(image), self.format)


def decode_data_url(url: str, max_pixels: int) -> ImageArray:
    """Return the image in a base64 data URL, as `ImageFile.decode` does. Raises `ImageError`."""
    return decode_image(data_url_bytes(url), max_pixels)


def decode_image(data: bytes, max_pixels: int) -> ImageArray:
    """Return the image in the bytes of a file: uint8 [height, width, 3], RGB. Raises `ImageError`."""
    return ImageFile.open(data, max_pixels).decode(max_pixels)


@contextmanager
def _open_image(data: bytes, file_format: str, max_pixels: int) -> Iterator[Image.Image]:
    """Open a file without decoding its pixels; every error in the block becomes an `ImageError`."""
    from PIL import Image

    with SILENCED_WARNINGS:
        try:
            with Image.open(BytesIO(data), formats=[file_format]) as image:
                yield image
        except ImageError:
            raise
        except Exception as error:  # noqa: BLE001  hostile bytes make decoders fail in every way
            raise ImageError(_decoder_message(error, file_format, max_pixels)) from None


def _decoder_message(error: Exception, file_format: str, max_pixels: int) -> str:
    if type(error).__name__ == "DecompressionBombError":
        return f"The {file_format} image has too many pixels; at most {max_pixels} are accepted."
    return f"The {file_format} image is damaged, cut off, or of a variant that cannot be read."


def _upright(image: Image.Image) -> Image.Image:
    from PIL.Image import Transpose

    try:
        orientation = image.getexif().get(ORIENTATION_TAG)
    except Exception:  # noqa: BLE001  broken metadata leaves the pixels usable
        return image
    method = TRANSPOSES.get(orientation) if isinstance(orientation, int) else None
    return image.transpose(Transpose[method]) if method else image


def _to_rgb(image: Image.Image, file_format: str) -> ImageArray:
    import numpy as np

    # Pillow before 11 opens the 16-bit samples of PNG as mode I.
    if image.mode.startswith("I;16") or (image.mode == "I" and file_format == "PNG"):
        return _gray16_to_rgb(image)
    if image.mode in ("I", "F"):
        raise ImageError("Images of 32 bits a channel are not accepted; send 8 or 16 bits.")
    if image.has_transparency_data:
        image = _blend_with_white(image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def _gray16_to_rgb(image: Image.Image) -> ImageArray:
    """Return the high byte of every sample, as decoders of 16-bit colour take it."""
    import numpy as np

    gray = (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)


def _blend_with_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
