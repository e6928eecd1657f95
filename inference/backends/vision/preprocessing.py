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
from inference.cards.card import CardError

if TYPE_CHECKING:
    from inference.contracts import ImageArray

Size = tuple[int, int]
"""Height and width."""

LONGEST = 16
"""A picture longer than so many times its shorter side loses its ends before it is resized.

The cut would drop them anyhow; resized whole, a line of 24 million pixels would take a terabyte.
"""

STEPS = frozenset(
    {
        *("do_convert_rgb", "do_resize", "do_center_crop", "do_rescale", "do_normalize"),
        *("size", "crop_size", "default_to_square", "resample", "rescale_factor", "image_mean", "image_std"),
    }
)
"""What is followed. Pictures come as RGB, whatever `do_convert_rgb` says."""
LABELS = frozenset(
    {
        *("image_processor_type", "feature_extractor_type", "processor_class", "_valid_processor_keys"),
        *("data_format", "input_data_format", "return_tensors", "device", "disable_grouping"),
        *("image_seq_length", "image_seq_len", "auto_map", "transformers_version", "_commit_hash"),
    }
)
"""What changes no pixel of one picture. Anything else that a file turns on is refused."""

OFF = (None, False)
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

    def __call__(self, picture: ImageArray) -> NDArray[np.float32]:
        """Float32 [3, height, width] of uint8 [h, w, 3]."""
        pixels = _middle(self._resize(picture), self.size)
        values = np.empty((3, *self.size), np.float32)
        # Channel by channel in memory: over the three numbers of each pixel, numpy takes eight times as long.
        np.multiply(pixels.transpose(2, 0, 1), self.scale[:, None, None], out=values)
        values += self.offset[:, None, None]
        return values

    def _resize(self, picture: ImageArray) -> ImageArray:
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
    asked = [name for name, value in config.items() if name not in STEPS | LABELS and value not in OFF]
    if asked:
        raise ValueError(f"{', '.join(asked)} is a step that is not known")
    cuts = config.get("do_center_crop", config.get("crop_size") is not None)
    crop = _size(config["crop_size"], "crop_size") if cuts else None
    resized = _resized(config, cut=crop is not None) if config.get("do_resize", True) else None
    size = crop or resized
    if not isinstance(size, tuple):
        raise ValueError("pictures would differ in size; set crop_size, or size.height and size.width")
    scale, offset = _affine(config)
    return Preprocessor(size, resized, _filter(config) if resized else 0, scale, offset)


def _resized(config: Mapping[str, Any], *, cut: bool) -> Size | int:
    """A bare number, as older files have it, is the shorter side where a cut follows, else both sides.

    `default_to_square` says it where a file has it.
    """
    size = config["size"]
    if isinstance(size, int) and not config.get("default_to_square", not cut):
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


def _shortened(picture: ImageArray) -> ImageArray:
    height, width = picture.shape[:2]
    return _middle(picture, (min(height, width * LONGEST), min(width, height * LONGEST)))


def _middle(picture: ImageArray, size: Size) -> ImageArray:
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
