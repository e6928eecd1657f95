"""Float weights become blocks of 4 or 8 bits, by rounding alone, and the loss of each matrix is kept.

The scale of a block of 4 bits is the one of several whose rounded levels are nearest to the weights, by the
sum of squares. No sample texts are run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inference.importer.graph.weights import (
    BLOCK,
    BlockMatrix,
    Bytes,
    FloatMatrix,
    Floats,
    Matrix,
    WeightSource,
)

CHUNK = 1 << 20
"""Weights that are rounded at a time: what the rounding needs in memory stays small."""
STEPS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5)
"""Scales of 4 bits that are tried: the weight of largest size becomes the level -8 less one of these."""
TINY = np.float32(1e-30)
SENSITIVE = ("embed_tokens", "lm_head")
"""Matrices that stay in 8 bit: all tokens go through them, and 4 bit there costs most."""

Levels: TypeAlias = NDArray[np.int8]
Rounded: TypeAlias = tuple[Levels, Floats]
"""Levels [blocks, 32] and the scale of each block."""


@dataclass(slots=True)
class QuantizedWeights:
    """A source in float whose matrices come out in blocks; `losses` has those that were read so far."""

    source: WeightSource
    bits: Literal[4, 8]
    losses: dict[str, float] = field(default_factory=dict)
    """The root mean square of the errors over that of the weights, by the name of the matrix."""
    kept: list[str] = field(default_factory=list)
    """Matrices that stay in float: their rows are no multiple of 32 weights long."""

    @property
    def names(self) -> Collection[str]:
        return self.source.names

    def vector(self, name: str) -> Floats:
        return self.source.vector(name)

    def matrix(self, name: str) -> Matrix:
        matrix = self.source.matrix(name)
        if not isinstance(matrix, FloatMatrix):
            return matrix
        if matrix.shape[1] % BLOCK:
            self.kept.append(name)
            return matrix
        sensitive = any(part in name for part in SENSITIVE)
        rounded, self.losses[name] = quantized(matrix, 8 if sensitive else self.bits)
        return rounded


def quantized(matrix: FloatMatrix, bits: Literal[4, 8]) -> tuple[BlockMatrix, float]:
    """Return a matrix in blocks, and the root mean square of the errors over that of the weights."""
    rows, columns = matrix.shape
    blocks = columns // BLOCK
    levels = np.empty((rows, blocks, BLOCK * bits // 8), np.uint8)
    scales = np.empty((rows, blocks), np.float32)
    error = power = 0.0
    step = max(1, CHUNK // columns)
    for first in range(0, rows, step):
        part = slice(first, first + step)
        weights = np.asarray(matrix.values[part], np.float32).reshape(-1, BLOCK)
        rounded, scale = _rounded_to_8(weights) if bits == 8 else _rounded_to_4(weights)
        difference = weights - rounded * scale[:, None]
        error += float(np.vdot(difference, difference))
        power += float(np.vdot(weights, weights))
        levels[part] = _packed(rounded, bits).reshape(-1, blocks, BLOCK * bits // 8)
        scales[part] = scale.reshape(-1, blocks)
    return BlockMatrix(bits, levels, scales), float(np.sqrt(error / power)) if power else 0.0


def _rounded_to_8(weights: Floats) -> Rounded:
    scale = np.maximum(np.abs(weights).max(axis=1), TINY) / np.float32(127)
    return np.rint(weights / scale[:, None]).astype(np.int8), scale


def _rounded_to_4(weights: Floats) -> Rounded:
    """Return the levels -8 to 7 whose best scale leaves the least error, over the scales of `STEPS`."""
    largest = weights[np.arange(len(weights)), np.abs(weights).argmax(axis=1)]
    divisor = np.where(np.abs(largest) < TINY, TINY, largest)
    best_gain = np.full(len(weights), -1.0, np.float32)
    levels, scale = np.zeros(weights.shape, np.int8), np.zeros(len(weights), np.float32)
    for step in STEPS:
        tried = np.clip(np.rint(weights * (np.float32(-8 - step) / divisor)[:, None]), -8, 7)
        product = np.einsum("ij,ij->i", tried, weights)
        square = np.maximum(np.einsum("ij,ij->i", tried, tried), TINY)
        # With the scale of least squares the error is that of zero less this.
        gain = product * product / square
        better = gain > best_gain
        best_gain[better] = gain[better]
        levels[better] = tried[better].astype(np.int8)
        scale[better] = (product / square)[better]
    return levels, scale


def _packed(levels: Levels, bits: int) -> Bytes:
    """Return levels around the zero of unsigned ones; of 4 bits two in a byte, the first in the low half."""
    unsigned: Bytes = (levels.astype(np.int16) + (1 << (bits - 1))).astype(np.uint8)
    if bits == 8:
        return unsigned
    packed: Bytes = unsigned[:, 0::2] | (unsigned[:, 1::2] * np.uint8(16))
    return packed


def loss_sentence(losses: Mapping[str, float], bits: int) -> str:
    """Return what rounding cost the weights, mean and worst, in words."""
    worst = max(losses, key=lambda name: losses[name])
    mean = sum(losses.values()) / len(losses)
    return (
        f"In {bits} bit the weights differ from the checkpoint's by {mean:.1%} on average and at most by "
        f"{losses[worst]:.1%}, in {worst} (root mean square)."
    )
