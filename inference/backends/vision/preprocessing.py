"""Preprocessing of an image for a vision graph, by preprocessor_config.json as CLIP, SigLIP and ViT have it.

The steps are the reference processor's: resize 8-bit pixels with Pillow, crop the centre, multiply by the
factor, subtract the mean and divide by the standard deviation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inference.cards.card import CardError
from inference.cards.json_files import Json, inner_object, read_object

if TYPE_CHECKING:
    from inference.contracts import ImageArray

Size = tuple[int, int]
"""Height and width."""

PREPROCESSOR_FILE, PROCESSOR_FILE = "preprocessor_config.json", "processor_config.json"
"""The file of an image processor, and that of a whole processor, which may have the former's keys in it."""
MAX_ASPECT_RATIO = 16
"""The longer side over the shorter side, beyond which an image loses its ends before it is resized.

The centre crop would drop them anyhow; resized whole, a line of 24 million pixels would take a terabyte.
"""

STEP_KEYS = frozenset(
    {
        *("do_convert_rgb", "do_resize", "do_center_crop", "do_rescale", "do_normalize"),
        *("size", "crop_size", "default_to_square", "resample", "rescale_factor", "image_mean", "image_std"),
    }
)
"""The keys that are followed. Images come as RGB, whether `do_convert_rgb` is on or off."""
IGNORED_KEYS = frozenset(
    {
        *("image_processor_type", "feature_extractor_type", "processor_class", "_valid_processor_keys"),
        *("data_format", "input_data_format", "return_tensors", "device", "disable_grouping"),
        *("image_seq_length", "image_seq_len", "auto_map", "transformers_version", "_commit_hash"),
    }
)
"""The keys that change no pixel of one image. Any other key that a file turns on is refused."""

OFF = (None, False)
FILTERS = range(6)
"""Pillow's numbers of its resampling filters."""


def preprocessor_file(folder: Path) -> str:
    """Return the name of the file that describes images; as in transformers, the newer one comes first."""
    newer = inner_object(read_object(folder / PROCESSOR_FILE), "image_processor")
    return PROCESSOR_FILE if newer else PREPROCESSOR_FILE


def image_processor(config: Json) -> Json:
    """Return the part of a processor's file that is about images: newer ones have it under its own key."""
    return inner_object(config, "image_processor") or config


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """A function from images, uint8 [h, w, 3], to pixel values, float32 [3, height, width]."""

    size: Size
    """The height and width of the result."""
    resized: Size | int | None
    """The size before the crop: both sides, the shorter side, or None without resizing."""
    resample: int
    """Pillow's number of the filter."""
    scale: NDArray[np.float32]
    offset: NDArray[np.float32]
    """Both of shape [3]: a pixel becomes `pixel * scale + offset`."""

    @classmethod
    def open(cls, path: Path) -> Preprocessor:
        """Read preprocessor_config.json, or the part for images of a processor_config.json.

        Raises `CardError` for missing keys and unsupported steps.
        """
        config = image_processor(read_object(path))
        try:
            return _parse(config)
        except (KeyError, TypeError, ValueError) as error:
            problem = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            raise CardError(f"{path.name}: {problem}") from None

    def __call__(self, image: ImageArray) -> NDArray[np.float32]:
        """Return the pixel values of an image."""
        pixels = _center_crop(self._resize(image), self.size)
        values = np.empty((3, *self.size), np.float32)
        # Channel by channel in memory: over the three numbers of each pixel, numpy takes eight times as long.
        np.multiply(pixels.transpose(2, 0, 1), self.scale[:, None, None], out=values)
        values += self.offset[:, None, None]
        return values

    def _resize(self, image: ImageArray) -> ImageArray:
        from PIL import Image

        if self.resized is None:
            return image
        if isinstance(self.resized, int):
            image = _limit_aspect_ratio(image)
            height, width = _resized_by_shorter_side(image.shape[:2], self.resized)
        else:
            height, width = self.resized
        return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling(self.resample)))


def _parse(config: Mapping[str, Any]) -> Preprocessor:
    """Return the preprocessor of a file. Raises `KeyError`, `TypeError` or `ValueError`."""
    unknown = [
        name for name, value in config.items() if name not in STEP_KEYS | IGNORED_KEYS and value not in OFF
    ]
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is not supported; known are {', '.join(sorted(STEP_KEYS))}")
    crops = config.get("do_center_crop", config.get("crop_size") is not None)
    crop = _size(config["crop_size"], "crop_size") if crops else None
    resized = _resized(config, cropped=crop is not None) if config.get("do_resize", True) else None
    size = crop or resized
    if not isinstance(size, tuple):
        raise ValueError("images would differ in size; set crop_size, or size.height and size.width")
    scale, offset = _affine(config)
    return Preprocessor(size, resized, _filter(config) if resized else 0, scale, offset)


def _resized(config: Mapping[str, Any], *, cropped: bool) -> Size | int:
    """Return both sides, or the shorter side alone.

    A bare number, as older files have it, is the shorter side if a crop follows, else both sides;
    `default_to_square` overrides that.
    """
    size = config["size"]
    if isinstance(size, int) and not config.get("default_to_square", not cropped):
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
    """Return rescaling and normalising as one factor and one summand for each channel."""
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


def _resized_by_shorter_side(size: Sequence[int], edge: int) -> Size:
    """Return the size whose shorter side is `edge`; the reference truncates the longer one."""
    height, width = size
    return (int(edge * height / width), edge) if width <= height else (edge, int(edge * width / height))


def _limit_aspect_ratio(image: ImageArray) -> ImageArray:
    height, width = image.shape[:2]
    return _center_crop(image, (min(height, width * MAX_ASPECT_RATIO), min(width, height * MAX_ASPECT_RATIO)))


def _center_crop(image: ImageArray, size: Size) -> ImageArray:
    """Return the centre of an image, padded with black if the image is smaller, as the reference does."""
    top, rows = _window(image.shape[0], size[0])
    left, columns = _window(image.shape[1], size[1])
    cropped = image[rows, columns]
    if cropped.shape[:2] == size:
        return cropped
    canvas = np.zeros((*size, 3), np.uint8)
    canvas[top : top + cropped.shape[0], left : left + cropped.shape[1]] = cropped
    return canvas


def _window(have: int, want: int) -> tuple[int, slice]:
    """Return the start of a side's crop in the result, and the slice of the side that is kept."""
    start = (have - want) // 2
    return max(0, -start), slice(max(0, start), start + want)
