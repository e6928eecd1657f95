"""A picture as a vision graph's input, by preprocessor_config.json as CLIP, SigLIP and ViT have it.

The steps are the reference processor's: resize 8-bit pixels with Pillow, cut the middle out, multiply by the
factor, subtract the mean and divide by the deviation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inference.backends.model_files import read_object
from inference.card import CardError

if TYPE_CHECKING:
    from inference.contracts import Picture

Size = tuple[int, int]
"""Height and width."""

LONGEST = 16
"""A picture longer than so many times its shorter side loses its ends before it is resized.

The cut would drop them anyhow; resized whole, a line of 24 million pixels would take a terabyte.
"""

REFUSED = ("crop_pct", "do_pad", "do_thumbnail", "do_align_long_axis", "do_flip_channel_order")
"""Steps of other processors; a file that turns one on is refused."""

FILTERS = range(6)
"""Pillow's numbers of its resampling filters."""


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """Pictures in, float32 [3, height, width] out."""

    size: Size
    """What comes out."""
    resized: Size | int | None
    """The whole picture before the cut: its size, its shorter side's length, or None to leave it as it is."""
    resample: int
    """Pillow's number of the filter."""
    scale: NDArray[np.float32]
    offset: NDArray[np.float32]
    """Both of shape [3]: a pixel becomes `pixel * scale + offset`."""

    @classmethod
    def open(cls, path: Path) -> Preprocessor:
        """Reads preprocessor_config.json. Raises `CardError` for what it lacks or asks for in vain."""
        config = read_object(path)
        try:
            return _read(config)
        except (KeyError, TypeError, ValueError) as error:
            problem = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            raise CardError(f"{path.name}: {problem}") from None

    def __call__(self, picture: Picture) -> NDArray[np.float32]:
        """Float32 [3, height, width] of uint8 [h, w, 3]."""
        pixels = _middle(self._resize(picture), self.size)
        return np.ascontiguousarray((pixels * self.scale + self.offset).transpose(2, 0, 1))

    def _resize(self, picture: Picture) -> Picture:
        from PIL import Image

        if self.resized is None:
            return picture
        if isinstance(self.resized, int):
            picture = _shortened(picture)
            height, width = _by_shorter_side(picture.shape[:2], self.resized)
        else:
            height, width = self.resized
        return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling(self.resample)))


def _read(config: Mapping[str, Any]) -> Preprocessor:
    asked = [name for name in REFUSED if config.get(name)]
    if asked:
        raise ValueError(f"{', '.join(asked)} is a step that is not known")
    cuts = config.get("do_center_crop", "crop_size" in config)
    crop = _size(config["crop_size"], "crop_size") if cuts else None
    resized = _resized(config, cut=crop is not None) if config.get("do_resize", True) else None
    size = crop or resized
    if not isinstance(size, tuple):
        raise ValueError("pictures would differ in size; set crop_size, or size.height and size.width")
    scale, offset = _affine(config)
    return Preprocessor(size, resized, _filter(config) if resized else 0, scale, offset)


def _resized(config: Mapping[str, Any], *, cut: bool) -> Size | int:
    """A bare number, as older files have it, is the shorter side where a cut follows, else both sides."""
    size = config["size"]
    if isinstance(size, int) and cut:
        return size
    if isinstance(size, Mapping) and size.keys() == {"shortest_edge"}:
        return int(size["shortest_edge"])
    return _size(size, "size")


def _size(value: object, name: str) -> Size:
    if isinstance(value, int):
        return value, value
    if isinstance(value, Mapping):
        height, width = value.get("height"), value.get("width")
        if isinstance(height, int) and isinstance(width, int):
            return height, width
    raise ValueError(f"{name} is {value!r}; known are height with width, and shortest_edge")


def _filter(config: Mapping[str, Any]) -> int:
    resample = config["resample"]
    if resample not in FILTERS:
        raise ValueError(f"resample is {resample!r}, not one of Pillow's filters 0 to {FILTERS[-1]}")
    return int(resample)


def _affine(config: Mapping[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rescaling and normalising as one multiplication and one addition for each channel."""
    factor = float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0
    mean, deviation = np.zeros(3), np.ones(3)
    if config.get("do_normalize", True):
        mean, deviation = _channels(config, "image_mean"), _channels(config, "image_std")
    scale = np.broadcast_to(factor / deviation, 3)
    return scale.astype(np.float32), (-mean / deviation).astype(np.float32)


def _channels(config: Mapping[str, Any], name: str) -> NDArray[np.float64]:
    values = np.asarray(config[name], np.float64)
    if values.shape not in ((), (3,)) or not np.isfinite(values).all():
        raise ValueError(f"{name} is {config[name]!r}, not three numbers")
    return np.broadcast_to(values, 3)


def _by_shorter_side(size: Sequence[int], edge: int) -> Size:
    """The reference truncates the longer side to whole pixels."""
    height, width = size
    return (int(edge * height / width), edge) if width <= height else (edge, int(edge * width / height))


def _shortened(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    return _middle(picture, (min(height, width * LONGEST), min(width, height * LONGEST)))


def _middle(picture: Picture, size: Size) -> Picture:
    """The middle of a picture, with black around it where the picture is smaller, as the reference does."""
    top, rows = _window(picture.shape[0], size[0])
    left, columns = _window(picture.shape[1], size[1])
    cut = picture[rows, columns]
    if cut.shape[:2] == size:
        return cut
    canvas = np.zeros((*size, 3), np.uint8)
    canvas[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return canvas


def _window(have: int, want: int) -> tuple[int, slice]:
    """Where the kept part of a side begins in the result, and which part that is."""
    start = (have - want) // 2
    return max(0, -start), slice(max(0, start), start + want)
