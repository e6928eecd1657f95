"""Quantized tensors in the form of the graph: 4 bits where they hold the levels, else 8, in blocks of 32.

Types whose scales are for 32 weights keep their levels, so the form is exact; a minimum becomes an offset.
Types with a scale for 16 weights, and floats, are rounded anew to 8 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from inference.importer.gguf.blocks import QUANTIZATIONS, Levels, Quantization
from inference.importer.gguf.tensor_types import TensorType
from inference.importer.graph.weights import BLOCK, BlockMatrix, Bytes, Floats

HIGHEST = 127
"""Largest level of a weight that is rounded to 8 bits."""
SEARCH = (1.0, 0.98, 0.96, 0.94)
"""Highest levels that are tried for a block, as parts of `HIGHEST`. A block that falls on the grid of its two
scales loses less: measured, four halve the error of Q3_K, and take a sixth of that of Q6_K."""
CHUNK = 1 << 19
"""Weights that are converted at once; more is slower, as they leave the processor's cache."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Squared error of a form and squared weights, summed over tensors."""

    error: float = 0.0
    weights: float = 0.0

    def __add__(self, other: Loss) -> Loss:
        return Loss(self.error + other.error, self.weights + other.weights)

    @property
    def relative(self) -> float:
        """Root mean square of the error, relative to that of the weights."""
        return float(np.sqrt(self.error / self.weights)) if self.weights else 0.0


def is_exact(kind: TensorType) -> bool:
    """Return True for a type whose levels the graph keeps."""
    return kind in QUANTIZATIONS and QUANTIZATIONS[kind].group == BLOCK


def bits_of(kind: TensorType) -> Literal[4, 8]:
    """Return the bits of a type's form."""
    quantization = QUANTIZATIONS.get(kind)
    if quantization is None or quantization.group != BLOCK or quantization.high - quantization.low > 15:
        return 8
    return 4


class FormedMatrix:
    """A matrix that is filled with one run of weights after another, and what its form costs."""

    __slots__ = ("_filled", "_levels", "_offsets", "_scales", "_shape", "bits", "loss")

    def __init__(self, shape: tuple[int, int], bits: Literal[4, 8], *, offsets: bool) -> None:
        self.bits, self.loss = bits, Loss()
        self._shape, self._filled = shape, 0
        count = shape[0] * shape[1] // BLOCK
        self._levels = np.empty((count, BLOCK * bits // 8), np.uint8)
        self._scales = np.empty(count, np.float32)
        self._offsets = np.empty(count, np.float32) if offsets else None

    def keep(self, read: Levels, quantization: Quantization) -> None:
        """Add blocks with the levels that they have."""
        middle = middle_of(quantization)
        target = self._next(read.scales.size)
        self._levels[target] = _bytes_of(read, middle, self.bits)
        self._scales[target] = read.scales.reshape(-1)
        if self._offsets is not None and read.offsets is not None:
            self._offsets[target] = (read.offsets + np.float32(middle) * read.scales).reshape(-1)

    def round(self, weights: Floats) -> None:
        """Add weights rounded to 8 bits, with the scale of least squared error for each block."""
        blocks = weights.reshape(-1, BLOCK)
        target = self._next(len(blocks))
        levels, scales = _rounded(blocks)
        self._levels[target] = (levels + np.float32(128)).astype(np.uint8)
        self._scales[target] = scales
        levels *= scales[:, None]
        levels -= blocks
        self.loss += Loss(float(np.vdot(levels, levels)), float(np.vdot(blocks, blocks)))

    def matrix(self) -> BlockMatrix:
        """Return the filled matrix."""
        grouped = (self._shape[0], self._shape[1] // BLOCK)
        offsets = None if self._offsets is None else self._offsets.reshape(grouped)
        levels = self._levels.reshape(*grouped, BLOCK * self.bits // 8)
        return BlockMatrix(self.bits, levels, self._scales.reshape(grouped), offsets)

    @property
    def scales(self) -> Floats:
        """Scales of all blocks, and with them every offset that is not finite."""
        return self._scales if self._offsets is None else self._scales + self._offsets

    def _next(self, count: int) -> slice:
        begin, self._filled = self._filled, self._filled + count
        return slice(begin, self._filled)


def middle_of(quantization: Quantization) -> int:
    """Return the level that becomes zero: levels from 0 up are moved, and the offsets with them."""
    return 0 if quantization.low else (quantization.high + 1) // 2


def _bytes_of(read: Levels, middle: int, bits: Literal[4, 8]) -> Bytes:
    """Return levels around `middle` as the kernel packs them, [blocks of 32, bytes]."""
    zero = np.uint8(((1 << (bits - 1)) - middle) % 256)
    levels = read.levels.view(np.uint8).reshape(-1, BLOCK) + zero
    return levels if bits == 8 else levels[:, 0::2] | (levels[:, 1::2] << np.uint8(4))


def _rounded(blocks: Floats) -> tuple[Floats, Floats]:
    """Return whole levels [blocks, 32] and scales [blocks] with the least squared error of `SEARCH`."""
    highest = np.abs(blocks).max(axis=1)
    highest[highest < np.finfo(np.float32).tiny * 1e6] = np.inf  # all zero, or too small to divide by
    levels = np.empty_like(blocks)
    most = np.full(len(blocks), -1, np.float32)
    best, scales = np.zeros_like(most), np.full_like(most, np.nan)  # which stay for numbers out of range
    for part in SEARCH:
        inverse = np.float32(HIGHEST * part) / highest
        np.rint(np.multiply(blocks, inverse[:, None], out=levels), out=levels)
        products = np.einsum("ij,ij->i", blocks, levels)
        squares = np.maximum(np.einsum("ij,ij->i", levels, levels), 1)
        scale = products / squares  # of least error for these levels, which is then |w|^2 - scale * products
        better = scale * products > most
        most = np.where(better, scale * products, most)
        best, scales = np.where(better, inverse, best), np.where(better, scale, scales)
    return np.rint(np.multiply(blocks, best[:, None], out=levels), out=levels), scales
