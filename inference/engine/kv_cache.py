"""The KV cache: for every layer one key and one value array whose rows are the slots of sequences.

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
    """What one position of one sequence takes: (kv_heads, head_dim) of each tensor, in the graph's order."""

    tensors: tuple[tuple[int, int], ...]
    dtype: np.dtype[Any]

    @property
    def bytes_per_token(self) -> int:
        return self.dtype.itemsize * sum(heads * size for heads, size in self.tensors)

    def rows_within(self, budget: int, *, slots: int, length: int) -> int:
        """How many rows of `length` tokens, at most `slots`, fit into so many bytes; 0 where not one does."""
        return min(slots, budget // (self.bytes_per_token * length))


@dataclass(frozen=True, slots=True)
class KVCache:
    """Arrays [rows, kv_heads, length, head_dim], one for each tensor of the layout."""

    arrays: tuple[NDArray[Any], ...]

    @classmethod
    def allocate(cls, layout: CacheLayout, rows: int, length: int) -> KVCache:
        """Zeros, which the system backs with memory only where they are written."""
        return cls(
            tuple(_untouched((rows, heads, length, size), layout.dtype) for heads, size in layout.tensors)
        )

    @property
    def rows(self) -> int:
        return int(self.arrays[0].shape[0])

    @property
    def length(self) -> int:
        return int(self.arrays[0].shape[2])

    def move(self, source: int, target: int, length: int) -> None:
        """Copies the first `length` positions of a row over those of another."""
        for array in self.arrays:
            array[target, :, :length] = array[source, :, :length]

    def clear(self, row: int, length: int) -> None:
        """Zeroes the first `length` positions of a row.

        Attention multiplies what it masks by zero, and a NaN would survive that into the row's next sequence.
        """
        for array in self.arrays:
            array[row, :, :length] = 0


def _untouched(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Zeros in pages of their own, given back to the system with the array.

    `np.zeros` takes them from the heap once larger pieces were freed there, and then writes every one of
    them: a cache of 800 MB was resident before its first token.
    """
    pages = mmap(-1, max(1, prod(shape) * dtype.itemsize))
    return np.ndarray(shape, dtype, buffer=pages)
