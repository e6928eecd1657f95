"""The weights that a graph is written from: matrices in a form that a kernel runs, read one at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
"""Weights of a row that share a scale. Up to this size MatMulNBits with int8 activations rounds the same
for any number of rows (`lm_head_search.MAX_EXACT_BLOCK`)."""

Floats: TypeAlias = NDArray[np.float32]
Bytes: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FloatMatrix:
    """A matrix in float32, [out, in]."""

    values: Floats

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.values.shape
        return rows, columns


@dataclass(frozen=True, slots=True)
class BlockMatrix:
    """A matrix in blocks of `BLOCK` weights along its rows, packed as MatMulNBits reads it.

    A weight is `scale * (level - zero) + offset`, where `zero` is 8 with 4 bits and 128 with 8. The
    offsets are a term of their own in the graph, the sum of a block's inputs times its offset: onnxruntime
    runs zero points in float at a twentieth of the speed.
    """

    bits: Literal[4, 8]
    levels: Bytes
    """[out, in / BLOCK, BLOCK * bits / 8]; of two levels in a byte the first is the low half."""
    scales: Floats
    """[out, in / BLOCK]"""
    offsets: Floats | None = None
    """[out, in / BLOCK]; None where every offset is zero."""

    @property
    def shape(self) -> tuple[int, int]:
        rows, blocks = self.scales.shape
        return rows, blocks * BLOCK


Matrix: TypeAlias = FloatMatrix | BlockMatrix


class WeightSource(Protocol):
    """The tensors of a checkpoint under their names in transformers; a linear layer is [out, in].

    Nothing is kept: each call reads the file again, so that a conversion needs the memory of one tensor.
    """

    @property
    def names(self) -> Collection[str]: ...

    def matrix(self, name: str) -> Matrix:
        """Return a matrix in the form in which the graph stores it.

        Raises `KeyError` for an unknown name and `ImporterError` for a tensor that cannot be read.
        """
        ...

    def vector(self, name: str) -> Floats:
        """Return a bias or the gains of a norm, [size]. Raises as `matrix` does."""
        ...


def unpacked(matrix: Matrix) -> Floats:
    """Return the weights as float32 [out, in]."""
    if isinstance(matrix, FloatMatrix):
        return matrix.values
    levels = matrix.levels
    if matrix.bits == 4:
        halves = np.stack((levels & 0x0F, levels >> 4), axis=-1)
        levels = halves.reshape(*levels.shape[:2], BLOCK)
    zero = np.float32(1 << (matrix.bits - 1))
    blocks = (levels.astype(np.float32) - zero) * matrix.scales[..., None]
    if matrix.offsets is not None:
        blocks += matrix.offsets[..., None]
    return blocks.reshape(matrix.shape)


def stacked(matrices: Sequence[Matrix]) -> Matrix:
    """Return matrices with inputs in common as one, their outputs in order.

    They keep a common form: one with and one without offsets get offsets, 4 and 8 bits become 8, and one in
    float makes all float.
    """
    if all(isinstance(each, BlockMatrix) for each in matrices):
        blocks = [each for each in matrices if isinstance(each, BlockMatrix)]
        return _stacked_blocks(blocks)
    return FloatMatrix(np.concatenate([unpacked(each) for each in matrices]))


def _stacked_blocks(matrices: Sequence[BlockMatrix]) -> BlockMatrix:
    bits = max(each.bits for each in matrices)
    levels = np.concatenate([_levels_in(each, bits) for each in matrices])
    scales = np.concatenate([each.scales for each in matrices])
    if all(each.offsets is None for each in matrices):
        return BlockMatrix(bits, levels, scales)
    offsets = [np.zeros_like(each.scales) if each.offsets is None else each.offsets for each in matrices]
    return BlockMatrix(bits, levels, scales, np.concatenate(offsets))


def _levels_in(matrix: BlockMatrix, bits: int) -> Bytes:
    """Return the levels with `bits` each; the scales stay, because the zero moves with the levels."""
    if matrix.bits == bits:
        return matrix.levels
    halves = np.stack((matrix.levels & 0x0F, matrix.levels >> 4), axis=-1)
    return halves.reshape(*matrix.levels.shape[:2], BLOCK) + np.uint8(128 - 8)
