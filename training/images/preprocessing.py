"""Pictures as the image tower's input: what preprocessor_config.json says, for training and tests."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

EDGE = 64
MEAN = 0.5
DEVIATION = 0.5

PREPROCESSOR_CONFIG: dict[str, Any] = {
    "image_processor_type": "CLIPImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"shortest_edge": EDGE},
    "resample": int(Image.Resampling.BICUBIC),
    "do_center_crop": True,
    "crop_size": {"height": EDGE, "width": EDGE},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [MEAN] * 3,
    "image_std": [DEVIATION] * 3,
}


def cropped(picture: Image.Image) -> NDArray[np.uint8]:
    """uint8 [EDGE, EDGE, 3]: the shorter side resized to EDGE, the longer one cut around its middle."""
    rgb = picture.convert("RGB")
    shortest = min(rgb.size)
    width, height = (int(EDGE * side / shortest) for side in rgb.size)
    resized = rgb.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - EDGE) // 2, (height - EDGE) // 2
    return np.asarray(resized.crop((left, top, left + EDGE, top + EDGE)))


def normalised(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 [..., EDGE, EDGE, 3] -> float32 [..., 3, EDGE, EDGE] in -1..1."""
    scaled = (pixels.astype(np.float32) / 255 - MEAN) / DEVIATION
    return np.ascontiguousarray(np.moveaxis(scaled, -1, -3))
