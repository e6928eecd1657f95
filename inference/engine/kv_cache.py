"""The KV cache: one key and one value array per layer, whose rows are the slots of sequences.

It belongs to the engine and not to a session, so that sessions of several weight formats can fill the same
rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class CacheLayout:
    """The shape of one token in the cache: (kv_heads, head_size) of each tensor, as the graph lists them."""

    tensors: tuple[tuple[int, int], ...]
    dtype: np.dtype[Any]

    @property
    def bytes_per_token(self) -> int:
        """The bytes that one token takes in all tensors together."""
        return self.dtype.itemsize * sum(heads * size for heads, size in self.tensors)

    def rows_within(self, budget: int, *, slots: int, length: int) -> int:
        """Return how many rows of `length` tokens, at most `slots`, fit into `budget` bytes; 0 for none."""
        return min(slots, budget // (self.bytes_per_token * length))


@dataclass(frozen=True, slots=True)
class KVCache:
    """Arrays [rows, kv_heads, length, head_size], one for each tensor of the layout."""

    arrays: tuple[NDArray[Any], ...]

    @classmethod
    def allocate(cls, layout: CacheLayout, rows: int, length: int) -> KVCache:
        """Return a cache of zeros, which the system backs with memory only where they are written."""
        return cls(
            tuple(_lazy_zeros((rows, heads, length, size), layout.dtype) for heads, size in layout.tensors)
        )

    @property
    def rows(self) -> int:
        """The number of sequences that it holds."""
        return int(self.arrays[0].shape[0])

    @property
    def length(self) -> int:
        """The number of positions of a row."""
        return int(self.arrays[0].shape[2])

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of a row over those of another."""
        for array in self.arrays:
            array[target, :, :length] = array[source, :, :length]

    def clear(self, row: int, length: int) -> None:
        """Zero the first `length` positions of a row.

        Attention multiplies masked positions by zero, and a NaN would survive that into the row's next
        sequence.
        """
        for array in self.arrays:
            array[row, :, :length] = 0


def _lazy_zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return zeros in pages of their own, which return to the system with the array.

    `np.zeros` takes them from the heap once larger pieces were freed there, and then writes every one of
    them: a cache of 800 MB was resident before its first token.
    """
    pages = mmap(-1, max(1, prod(shape) * dtype.itemsize))
    return np.ndarray(shape, dtype, buffer=pages)
