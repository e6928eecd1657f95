"""Quantized blocks have the weights that ggml's reference gives, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference.importer.gguf.blocks import QUANTIZATIONS
from inference.importer.gguf.tensor_types import TensorType

GOLDEN = Path(__file__).parents[2] / "golden" / "gguf_blocks.npz"


@pytest.mark.parametrize("kind", QUANTIZATIONS, ids=str)
def test_weights_are_the_reference_s_bit_for_bit(kind: TensorType) -> None:
    with np.load(GOLDEN) as golden:
        blocks, expected = golden[f"{kind}.blocks"], golden[f"{kind}.weights"]
    values = QUANTIZATIONS[kind].read(blocks).values()
    assert values.dtype == np.float32
    assert np.array_equal(values.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("kind", QUANTIZATIONS, ids=str)
def test_levels_are_within_their_range_in_groups_of_their_size(kind: TensorType) -> None:
    quantization = QUANTIZATIONS[kind]
    blocks = np.random.default_rng(1).integers(0, 256, (64, kind.size), dtype=np.uint8)
    with np.errstate(all="ignore"):
        read = quantization.read(blocks)
    assert (int(read.levels.min()), int(read.levels.max())) == (quantization.low, quantization.high)
    assert read.levels.shape == (64, kind.block // quantization.group, quantization.group)
    assert read.scales.shape == read.levels.shape[:2]
    assert (read.offsets is not None) == (quantization.low == 0)
