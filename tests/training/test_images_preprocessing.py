"""Pictures of any size and mode become the image tower's input."""

import numpy as np
import pytest
from PIL import Image

from training.images.preprocessing import PREPROCESSOR_CONFIG, cropped, normalised


@pytest.mark.parametrize("size", [(64, 64), (200, 64), (65, 240), (1, 1), (333, 777)])
def test_any_size_becomes_one_square(size: tuple[int, int]) -> None:
    pixels = cropped(Image.new("RGB", size, (10, 20, 30)))
    assert pixels.shape == (64, 64, 3)
    assert np.unique(pixels.reshape(-1, 3), axis=0).tolist() == [[10, 20, 30]]


def test_the_middle_of_a_wide_picture_is_kept() -> None:
    picture = Image.new("RGB", (192, 64), "red")
    picture.paste("blue", (64, 0, 128, 64))
    assert np.unique(cropped(picture).reshape(-1, 3), axis=0).tolist() == [[0, 0, 255]]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK"])
def test_any_mode_becomes_rgb(mode: str) -> None:
    assert cropped(Image.new(mode, (80, 80))).shape == (64, 64, 3)


def test_values_are_scaled_as_the_configuration_says() -> None:
    pixels = np.array([0, 51, 255], np.uint8).reshape(1, 1, 3)
    mean, deviation = np.array(PREPROCESSOR_CONFIG["image_mean"]), np.array(PREPROCESSOR_CONFIG["image_std"])
    expected = (pixels.reshape(3) * PREPROCESSOR_CONFIG["rescale_factor"] - mean) / deviation
    np.testing.assert_allclose(normalised(pixels).reshape(3), expected, atol=1e-6)


def test_channels_come_first() -> None:
    pixels = np.zeros((2, 64, 64, 3), np.uint8)
    pixels[:, :, :, 1] = 255
    values = normalised(pixels)
    assert values.shape == (2, 3, 64, 64)
    assert values.dtype == np.dtype(np.float32)
    assert values[0, :, 0, 0].tolist() == [-1.0, 1.0, -1.0]
