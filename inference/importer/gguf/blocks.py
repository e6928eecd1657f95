"""The blocks of quantized tensors as whole levels: a weight is a level times its scale, plus an offset.

The layouts are those of ggml's block structures. Scales and offsets are multiplied in float32 in ggml's
order, so that `values` gives its weights bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.importer.gguf import tensor_types as types
from inference.importer.gguf.tensor_types import TensorType
from inference.importer.graph.weights import Bytes, Floats

NON_LINEAR = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], dtype=np.int8
)
"""Levels of the IQ4 types by the four bits that stand for them."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Weights as [blocks, groups, group size] levels, with a scale and an offset for each group."""

    levels: NDArray[np.int8]
    scales: Floats
    """[blocks, groups]"""
    offsets: Floats | None = None
    """[blocks, groups]; None where every offset is zero."""

    def values(self) -> Floats:
        """Return the weights, [blocks, weights of a block]."""
        weights = self.levels.astype(np.float32) * self.scales[..., None]
        if self.offsets is not None:
            weights += self.offsets[..., None]
        return weights.reshape(len(weights), -1)


@dataclass(frozen=True, slots=True)
class Quantization:
    """A quantized type: how its blocks are read, and the lowest and highest level."""

    read: Callable[[Bytes], Levels]
    """From [blocks, bytes of a block]."""
    low: int
    high: int
    group: int = 32
    """Weights that share a scale."""


def _half(blocks: Bytes, begin: int) -> Floats:
    """Return the float16 at a byte of each block, [blocks, 1]."""
    return np.ascontiguousarray(blocks[:, begin : begin + 2]).view("<f2").astype(np.float32)


def _nibbles(packed: Bytes, width: int) -> Bytes:
    """Return four-bit numbers, [blocks, groups, width]: of `width` bytes the low halves first."""
    parts = packed.reshape(len(packed), -1, 1, width)
    return np.concatenate((parts & 0x0F, parts >> 4), axis=2).reshape(len(packed), -1, width)


def _bits(packed: Bytes, width: int, bits: int) -> Bytes:
    """Return numbers of one or two bits, [blocks, groups, width]: of `width` bytes the lowest first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    parts = packed.reshape(len(packed), -1, 1, width) >> shifts
    return (parts & np.uint8((1 << bits) - 1)).reshape(len(packed), -1, width)


def _signed(levels: Bytes, zero: int, group: int = 32) -> NDArray[np.int8]:
    """Return levels around zero, [blocks, groups, group]."""
    return (levels.view(np.int8) - np.int8(zero)).reshape(len(levels), -1, group)


def _fifth_bits(packed: Bytes) -> Bytes:
    """Return the highest bits of 32 five-bit levels, [blocks, 1, 32], as 0 or 16."""
    bits = np.unpackbits(np.ascontiguousarray(packed), axis=1, bitorder="little")
    return (bits << np.uint8(4)).reshape(len(packed), 1, 32)


def _q4_0(blocks: Bytes) -> Levels:
    return Levels(_signed(_nibbles(blocks[:, 2:], 16), 8), _half(blocks, 0))


def _q4_1(blocks: Bytes) -> Levels:
    return Levels(_signed(_nibbles(blocks[:, 4:], 16), 0), _half(blocks, 0), _half(blocks, 2))


def _q5_0(blocks: Bytes) -> Levels:
    low = _nibbles(blocks[:, 6:], 16).reshape(-1, 1, 32)
    return Levels(_signed(low | _fifth_bits(blocks[:, 2:6]), 16), _half(blocks, 0))


def _q5_1(blocks: Bytes) -> Levels:
    low = _nibbles(blocks[:, 8:], 16).reshape(-1, 1, 32)
    return Levels(_signed(low | _fifth_bits(blocks[:, 4:8]), 0), _half(blocks, 0), _half(blocks, 2))


def _q8_0(blocks: Bytes) -> Levels:
    return Levels(_signed(np.ascontiguousarray(blocks[:, 2:]), 0), _half(blocks, 0))


def _iq4_nl(blocks: Bytes) -> Levels:
    return Levels(NON_LINEAR[_nibbles(blocks[:, 2:], 16)].reshape(-1, 1, 32), _half(blocks, 0))


def _iq4_xs(blocks: Bytes) -> Levels:
    high = np.ascontiguousarray(blocks[:, 2:4]).view("<u2") >> np.arange(0, 16, 2, dtype=np.uint16)
    low = blocks[:, 4:8, None] >> np.array([0, 4], np.uint8)
    sixths = (low.reshape(-1, 8) & 0x0F) | ((high & 3).astype(np.uint8) << np.uint8(4))
    scales = _half(blocks, 0) * (sixths.view(np.int8) - np.int8(32)).astype(np.float32)
    return Levels(NON_LINEAR[_nibbles(blocks[:, 8:], 16)].reshape(-1, 8, 32), scales)


def _six_bit_pairs(packed: Bytes) -> tuple[Floats, Floats]:
    """Return the eight scales and the eight minima of a block of Q4_K or Q5_K, both [blocks, 8]."""
    scales, minima, rest = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scale = np.concatenate((scales & 0x3F, (rest & 0x0F) | ((scales >> 2) & 0x30)), axis=1)
    minimum = np.concatenate((minima & 0x3F, (rest >> 4) | ((minima >> 2) & 0x30)), axis=1)
    return scale.astype(np.float32), minimum.astype(np.float32)


def _q4_k(blocks: Bytes) -> Levels:
    scales, minima = _six_bit_pairs(blocks[:, 4:16])
    levels = _nibbles(blocks[:, 16:], 32)
    return Levels(_signed(levels, 0), _half(blocks, 0) * scales, -(_half(blocks, 2) * minima))


def _q5_k(blocks: Bytes) -> Levels:
    scales, minima = _six_bit_pairs(blocks[:, 4:16])
    levels = _nibbles(blocks[:, 48:], 32) | (_bits(blocks[:, 16:48], 32, 1) << np.uint8(4))
    return Levels(_signed(levels, 0), _half(blocks, 0) * scales, -(_half(blocks, 2) * minima))


def _q6_k(blocks: Bytes) -> Levels:
    low = _nibbles(blocks[:, :128], 64).reshape(-1, 8, 32)
    levels = low | (_bits(blocks[:, 128:192], 32, 2) << np.uint8(4))
    scales = blocks[:, 192:208].view(np.int8).astype(np.float32)
    return Levels(_signed(levels, 32, 16), _half(blocks, 208) * scales)


def _q2_k(blocks: Bytes) -> Levels:
    scales = (blocks[:, :16] & 0x0F).astype(np.float32)
    minima = (blocks[:, :16] >> 4).astype(np.float32)
    levels = _bits(blocks[:, 16:80], 32, 2)
    return Levels(_signed(levels, 0, 16), _half(blocks, 80) * scales, -(_half(blocks, 82) * minima))


def _q3_k(blocks: Bytes) -> Levels:
    levels = _bits(blocks[:, 32:96], 32, 2) | (_bits(blocks[:, :32], 32, 1) << np.uint8(2))
    low = blocks[:, None, 96:104] >> np.array([[0], [4]], np.uint8)
    high = blocks[:, None, 104:108] >> np.array([[0], [2], [4], [6]], np.uint8)
    sixths = (low.reshape(-1, 16) & 0x0F) | ((high.reshape(-1, 16) & 3) << np.uint8(4))
    scales = (sixths.view(np.int8) - np.int8(32)).astype(np.float32)
    return Levels(_signed(levels, 4, 16), _half(blocks, 108) * scales)


QUANTIZATIONS: Mapping[TensorType, Quantization] = {
    types.Q4_0: Quantization(_q4_0, -8, 7),
    types.Q4_1: Quantization(_q4_1, 0, 15),
    types.Q5_0: Quantization(_q5_0, -16, 15),
    types.Q5_1: Quantization(_q5_1, 0, 31),
    types.Q8_0: Quantization(_q8_0, -128, 127),
    types.Q2_K: Quantization(_q2_k, 0, 3, 16),
    types.Q3_K: Quantization(_q3_k, -4, 3, 16),
    types.Q4_K: Quantization(_q4_k, 0, 15),
    types.Q5_K: Quantization(_q5_k, 0, 31),
    types.Q6_K: Quantization(_q6_k, -32, 31, 16),
    types.IQ4_NL: Quantization(_iq4_nl, -127, 113),
    types.IQ4_XS: Quantization(_iq4_xs, -127, 113),
}
