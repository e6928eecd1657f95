from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from inference.importer.graph.weights import BlockMatrix, FloatMatrix, Matrix, stacked, unpacked


def blocks(bits: Literal[4, 8], rows: int, *, offsets: bool = False, seed: int = 0) -> BlockMatrix:
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 256, (rows, 2, 32 * bits // 8), dtype=np.uint8)
    scales = rng.standard_normal((rows, 2), dtype=np.float32)
    return BlockMatrix(bits, levels, scales, scales * np.float32(0.5) if offsets else None)


def test_four_bits_unpacked_low_half_first_around_eight() -> None:
    levels = np.full((1, 1, 16), 0x9F, np.uint8)
    matrix = BlockMatrix(4, levels, np.array([[2]], np.float32), np.array([[0.5]], np.float32))
    assert matrix.shape == (1, 32)
    assert unpacked(matrix).tolist() == [[14.5, 2.5] * 16]


def test_eight_bits_unpacked_around_128() -> None:
    levels = np.arange(100, 132, dtype=np.uint8).reshape(1, 1, 32)
    assert unpacked(BlockMatrix(8, levels, np.array([[2]], np.float32))).tolist() == [
        [2.0 * (level - 128) for level in range(100, 132)]
    ]


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((blocks(4, 3), blocks(4, 2)), id="four bits"),
        pytest.param((blocks(4, 3), blocks(8, 2)), id="four and eight bits"),
        pytest.param((blocks(8, 3, offsets=True), blocks(4, 2)), id="with and without offsets"),
        pytest.param((blocks(4, 3), FloatMatrix(np.ones((2, 64), np.float32))), id="with one in float"),
    ],
)
def test_stacked_matrix_has_the_weights_of_its_parts(parts: tuple[Matrix, ...]) -> None:
    together = stacked(parts)
    assert together.shape == (5, 64)
    assert np.array_equal(unpacked(together), np.concatenate([unpacked(part) for part in parts]))


def test_stacked_blocks_stay_in_the_fewest_bits() -> None:
    first, second = stacked((blocks(4, 3), blocks(4, 2))), stacked((blocks(4, 3), blocks(8, 2)))
    assert isinstance(first, BlockMatrix)
    assert (first.bits, first.offsets) == (4, None)
    assert isinstance(second, BlockMatrix)
    assert second.bits == 8
