"""Preprocessing against the reference processors, by values of tests/golden/make_preprocessing.py."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.backends.vision.preprocessing import Preprocessor
from inference.cards.card import CardError
from tests.golden.make_preprocessing import CLIP, CONFIGS, GOLDEN, SIZES, SQUARE, sample_image

TOLERANCE = 1e-5
"""Every resized pixel is the same; what is left is float32 arithmetic in another order."""


def opened(folder: Path, config: Any) -> Preprocessor:
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(config))
    return Preprocessor.open(path)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("name", CONFIGS)
def test_pixel_values_match_the_reference(tmp_path: Path, name: str, height: int, width: int) -> None:
    preprocessor = opened(tmp_path, CONFIGS[name][1])
    values = preprocessor(sample_image(height, width))
    with np.load(GOLDEN) as golden:
        expected = golden[f"{name} {height}x{width}"]
    assert values.dtype == np.float32
    assert values.shape == (3, *preprocessor.size)
    np.testing.assert_allclose(values, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(
    ("size", "crop_size"), [(14, 12), ({"shortest_edge": 14}, 12), (14, CLIP["crop_size"])]
)
def test_bare_sizes_of_older_files_are_the_shorter_side(
    tmp_path: Path, size: object, crop_size: object
) -> None:
    old = opened(tmp_path, {**CLIP, "size": size, "crop_size": crop_size})
    new = opened(tmp_path, CLIP)
    np.testing.assert_array_equal(old(sample_image(30, 40)), new(sample_image(30, 40)))


def test_keys_turned_off_and_labels_are_ignored(tmp_path: Path) -> None:
    off = {"do_pad": None, "pad_size": None, "do_flip_channel_order": False, "device": None}
    labels = {"image_processor_type": "CLIPImageProcessor", "data_format": "channels_first"}
    named = opened(tmp_path, {**CLIP, **off, **labels, "default_to_square": False})
    np.testing.assert_array_equal(named(sample_image(30, 40)), opened(tmp_path, CLIP)(sample_image(30, 40)))


@pytest.mark.parametrize(("square", "resized"), [(True, (14, 14)), (False, 14)])
def test_default_to_square_decides_on_a_bare_size(tmp_path: Path, square: bool, resized: object) -> None:
    assert opened(tmp_path, {**CLIP, "size": 14, "default_to_square": square}).resized == resized


def test_no_crop_size_is_no_crop(tmp_path: Path) -> None:
    assert opened(tmp_path, {**SQUARE, "crop_size": None}).size == (12, 10)


def test_a_bare_size_without_a_crop_is_both_sides(tmp_path: Path) -> None:
    assert opened(tmp_path, {**SQUARE, "size": 10}).size == (10, 10)


@pytest.mark.parametrize("shape", [(1, 200_000, 3), (200_000, 1, 3)])
def test_a_line_of_pixels_is_cropped_before_it_is_resized(tmp_path: Path, shape: tuple[int, ...]) -> None:
    line = np.full(shape, 255, np.uint8)
    values = opened(tmp_path, {**CLIP, "do_normalize": False})(line)
    np.testing.assert_allclose(values, 1, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({**CLIP, "crop_pct": 0.9}, "crop_pct is not supported"),
        ({**CLIP, "do_pad": True}, "do_pad is not supported"),
        ({**CLIP, "rescale_offset": True}, "rescale_offset is not supported"),
        (
            {**SQUARE, "patch_size": 16, "max_num_patches": 256},
            "patch_size, max_num_patches is not supported",
        ),
        ({**SQUARE, "do_dither": True}, "do_dither is not supported"),
        ({**CLIP, "crop_size": {"shortest_edge": 5}}, "crop_size is"),
        ({**CLIP, "resample": 9}, "resample is 9"),
        ({**CLIP, "size": {"longest_edge": 5}}, "size is {'longest_edge': 5}"),
        ({**CLIP, "size": {"shortest_edge": 5, "longest_edge": 9}}, "size is"),
        ({**CLIP, "do_center_crop": False}, "images would differ in size"),
        ({**SQUARE, "do_resize": False}, "images would differ in size"),
        ({**CLIP, "image_mean": [1, 2]}, "image_mean is"),
        ({**CLIP, "image_mean": None}, "image_mean is None"),
        ({key: value for key, value in CLIP.items() if key != "image_std"}, "image_std is missing"),
        ({key: value for key, value in CLIP.items() if key != "resample"}, "resample is missing"),
        ({}, "is missing"),
        ([], "is not a JSON object"),
    ],
)
def test_unsupported_configs_are_named(tmp_path: Path, config: Any, sentence: str) -> None:
    with pytest.raises(CardError, match=sentence):
        opened(tmp_path, config)


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "preprocessor_config.json"
    path.write_text("{")
    with pytest.raises(CardError, match=r"preprocessor_config\.json is not JSON"):
        Preprocessor.open(path)
