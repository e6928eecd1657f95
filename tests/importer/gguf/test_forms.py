"""The forms of quantized tensors: exact where the levels fit, else the best of 8 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference.importer.gguf import tensor_types as types
from inference.importer.gguf.blocks import QUANTIZATIONS
from inference.importer.gguf.forms import FormedMatrix, Loss, bits_of, is_exact
from inference.importer.gguf.tensor_types import TensorType
from inference.importer.graph.weights import unpacked

GOLDEN = Path(__file__).parents[2] / "golden" / "gguf_blocks.npz"
SHAPE = (2, 256)
FORMS = {
    types.F32: (8, False),
    types.F16: (8, False),
    types.BF16: (8, False),
    types.Q4_0: (4, True),
    types.Q4_1: (4, True),
    types.Q5_0: (8, True),
    types.Q5_1: (8, True),
    types.Q8_0: (8, True),
    types.Q2_K: (8, False),
    types.Q3_K: (8, False),
    types.Q4_K: (4, True),
    types.Q5_K: (8, True),
    types.Q6_K: (8, False),
    types.IQ4_NL: (8, True),
    types.IQ4_XS: (8, True),
}
EXACT = [kind for kind, (_, exact) in FORMS.items() if exact]
ROUNDED = {types.Q2_K: 0.0060, types.Q3_K: 0.0051, types.Q6_K: 0.0062}
"""Most relative error of a type whose scales are for 16 weights."""


def blocks_of(kind: TensorType) -> np.ndarray:
    with np.load(GOLDEN) as golden:
        blocks: np.ndarray = golden[f"{kind}.blocks"]
    return blocks


@pytest.mark.parametrize("kind", FORMS, ids=str)
def test_every_type_has_its_form(kind: TensorType) -> None:
    assert (bits_of(kind), is_exact(kind)) == FORMS[kind]


def test_every_type_that_is_read_has_a_form() -> None:
    assert set(types.TYPES.values()) == set(FORMS)


@pytest.mark.parametrize("kind", EXACT, ids=str)
def test_kept_levels_lose_nothing_but_the_rounding_of_an_offset(kind: TensorType) -> None:
    read = QUANTIZATIONS[kind].read(blocks_of(kind))
    formed = FormedMatrix(SHAPE, bits_of(kind), offsets=read.offsets is not None)
    half = len(blocks_of(kind)) // 2
    for part in (blocks_of(kind)[:half], blocks_of(kind)[half:]):
        formed.keep(QUANTIZATIONS[kind].read(part), QUANTIZATIONS[kind])
    values, expected = unpacked(formed.matrix()), read.values().reshape(SHAPE)
    if read.offsets is None:
        assert np.array_equal(values, expected)
    else:
        assert np.abs(values - expected).max() <= 4e-7 * np.abs(expected).max()
    assert formed.loss == Loss()


@pytest.mark.parametrize("kind", ROUNDED, ids=str)
def test_rounded_weights_have_the_least_error_of_their_scales(kind: TensorType) -> None:
    weights = QUANTIZATIONS[kind].read(blocks_of(kind)).values()
    formed = FormedMatrix(SHAPE, 8, offsets=False)
    formed.round(weights)
    rounded = unpacked(formed.matrix())
    error = np.sqrt(np.square(rounded - weights.reshape(SHAPE)).sum() / np.square(weights).sum())
    assert formed.loss.relative == pytest.approx(error, rel=1e-4)
    plain = np.abs(weights.reshape(-1, 32)).max(axis=1, keepdims=True) / 127
    nearest = np.rint(weights.reshape(-1, 32) / plain) * plain
    assert error < np.sqrt(np.square(nearest - weights.reshape(-1, 32)).sum() / np.square(weights).sum())
    assert error < ROUNDED[kind]


def test_zeros_and_tiny_weights_are_rounded_to_finite_scales() -> None:
    weights = np.zeros((2, 64), np.float32)
    weights[0, :32] = np.finfo(np.float32).smallest_subnormal
    weights[1, 40] = -3.0
    formed = FormedMatrix((2, 64), 8, offsets=False)
    formed.round(weights)
    assert unpacked(formed.matrix())[1, 40] == -3.0
    assert np.abs(unpacked(formed.matrix()) - weights).max() < 1e-30


def test_losses_add_up_over_tensors() -> None:
    assert (Loss(1.0, 4.0) + Loss(3.0, 12.0)).relative == 0.5
    assert Loss().relative == 0.0
