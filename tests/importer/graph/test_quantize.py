from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from inference.importer.graph.quantize import QuantizedWeights, loss_sentence, quantized
from inference.importer.graph.weights import BlockMatrix, FloatMatrix, unpacked
from tests.importer.graph.sources import Tensors


def random_matrix(rows: int, columns: int) -> FloatMatrix:
    return FloatMatrix(np.random.default_rng(0).standard_normal((rows, columns), dtype=np.float32))


@pytest.mark.parametrize(("bits", "most"), [(4, 0.085), (8, 0.006)])
def test_the_loss_is_that_of_the_weights(bits: Literal[4, 8], most: float) -> None:
    matrix = random_matrix(40, 96)
    rounded, loss = quantized(matrix, bits)
    error = unpacked(rounded) - matrix.values
    assert loss == pytest.approx(np.sqrt((error**2).mean() / (matrix.values**2).mean()), rel=1e-4)
    assert most / 2 < loss < most


@pytest.mark.parametrize(("bits", "lowest", "highest"), [(4, -8, 7), (8, -127, 127)])
def test_weights_that_are_levels_already_come_back_exactly(
    bits: Literal[4, 8], lowest: int, highest: int
) -> None:
    levels = np.linspace(lowest, highest, 32).round()
    matrix = FloatMatrix(np.stack([levels, levels[::-1]]).astype(np.float32) * np.float32(0.25))
    rounded, loss = quantized(matrix, bits)
    assert loss == 0
    assert unpacked(rounded).tolist() == matrix.values.tolist()


def test_scales_of_least_squares_lose_less_than_the_largest_weight_alone() -> None:
    matrix = random_matrix(64, 64)
    blocks = matrix.values.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / 7
    plain = np.rint(blocks / scale) * scale - blocks
    _, loss = quantized(matrix, 4)
    assert loss < 0.9 * np.sqrt((plain**2).mean() / (blocks**2).mean())


@pytest.mark.parametrize("bits", [4, 8])
def test_zeros_stay_zeros(bits: Literal[4, 8]) -> None:
    rounded, loss = quantized(FloatMatrix(np.zeros((2, 32), np.float32)), bits)
    assert loss == 0
    assert not unpacked(rounded).any()


def test_the_embedding_stays_in_eight_bits_and_odd_rows_in_float() -> None:
    wide, odd = random_matrix(4, 64).values, random_matrix(4, 40).values
    source = Tensors({"model.embed_tokens.weight": wide, "model.a.weight": wide, "model.odd.weight": odd})
    weights = QuantizedWeights(source, 4)
    bits = {
        name: matrix.bits for name in source.names if isinstance(matrix := weights.matrix(name), BlockMatrix)
    }
    assert bits == {"model.embed_tokens.weight": 8, "model.a.weight": 4}
    assert weights.kept == ["model.odd.weight"]
    assert list(weights.losses) == ["model.embed_tokens.weight", "model.a.weight"]


def test_the_loss_is_said_on_average_and_at_its_worst() -> None:
    assert loss_sentence({"a": 0.05, "b": 0.1}, 4) == (
        "In 4 bit the weights differ from the checkpoint's by 7.5% on average and at most by 10.0%, in b "
        "(root mean square)."
    )
