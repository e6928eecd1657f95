"""Makes preprocessing.npz: pixel values of transformers' CLIP, SigLIP and ViT processors for drawn pictures.

Needs transformers and torch, which nothing else here does (made with transformers 5.23.0, torch 2.15.0, CPU,
and Pillow 13.0.0; the processors of the "Pil" kind, which resize with Pillow):

    python -m tests.golden.make_preprocessing
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GOLDEN = Path(__file__).with_name("preprocessing.npz")

CLIP: Mapping[str, Any] = {
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"shortest_edge": 14},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 12, "width": 12},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
HALVES = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
SQUARE: Mapping[str, Any] = {
    "do_resize": True,
    "size": {"height": 12, "width": 10},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    **HALVES,
}
CONFIGS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "clip": ("CLIPImageProcessorPil", CLIP),
    "clip padded": ("CLIPImageProcessorPil", {**CLIP, "size": {"shortest_edge": 9}}),
    "clip bilinear": ("CLIPImageProcessorPil", {**CLIP, "resample": 2, "size": {"shortest_edge": 13}}),
    "clip not resized": ("CLIPImageProcessorPil", {**CLIP, "do_resize": False}),
    "clip not normalised": ("CLIPImageProcessorPil", {**CLIP, "do_normalize": False}),
    "siglip": ("SiglipImageProcessorPil", SQUARE),
    "vit": ("ViTImageProcessorPil", {**SQUARE, "resample": 2}),
}
"""Name to the reference's class and its preprocessor_config.json."""

SIZES = ((30, 40), (41, 29), (12, 12), (50, 7), (5, 64), (128, 96))
"""Heights and widths."""


def sample_image(height: int, width: int) -> NDArray[np.uint8]:
    """uint8 [height, width, 3]: smooth waves with hard stripes in them, the same everywhere."""
    y, x = np.mgrid[:height, :width]
    waves = [127 + 120 * np.sin(x / 5 + y / 7 + phase) for phase in range(3)]
    pixels = np.stack(waves, axis=2)
    pixels[(x + 2 * y) % 11 < 2] = (255, 0, 64)
    return np.asarray(np.rint(pixels), np.uint8)


def main() -> None:
    # Imported by name: it is not installed where the types are checked.
    transformers = import_module("transformers")
    values: dict[str, Any] = {}
    for name, (kind, config) in CONFIGS.items():
        processor = getattr(transformers, kind)(**config)
        for height, width in SIZES:
            batch = processor(
                sample_image(height, width), input_data_format="channels_last", return_tensors="np"
            )
            values[f"{name} {height}x{width}"] = np.asarray(batch["pixel_values"][0], np.float32)
    np.savez_compressed(GOLDEN, **values)


if __name__ == "__main__":
    main()
