"""The KV cache, one key and one value array per layer with a row a sequence, and the cache of prefixes.

The arrays belong to the engine and not to a session, so that sessions of several weight formats can fill the
same rows.

The prefix cache finds keys and values of prefilled tokens again when a prompt starts with the same ones.
Tokens are cached in blocks, each under a digest of itself and of all blocks before it; the least recently
used block is evicted. Only prefilled tokens are cached: tokens that were decoded one by one are rounded
differently, and an answer would depend on the requests before it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from math import prod
from mmap import mmap
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.contracts import TokenIds


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


BLOCK = 64
"""Tokens of a block: of a known prefix at most one less are computed again."""
REMAINDER = 2
"""Tokens that are always left to run: a run of one token rounds differently from a run of several."""


class PrefixCache:
    """Blocks in a bounded memory of their own. Used by the engine's thread alone."""

    def __init__(self, layout: CacheLayout, budget: int) -> None:
        """Allocate `budget` bytes; less than a block's worth caches nothing."""
        self._capacity = budget // (layout.bytes_per_token * BLOCK)
        self._pool = KVCache.allocate(layout, self._capacity, BLOCK)
        self._rows: OrderedDict[bytes, int] = OrderedDict()
        """Digest to row of the pool, the least recently used first."""

    def restore(self, tokens: TokenIds, cache: KVCache, row: int) -> int:
        """Copy the longest known prefix of the tokens into a row, and return its length."""
        found: list[bytes] = []
        for digest in _digests(tokens[:-REMAINDER]):
            if digest not in self._rows:
                break
            found.append(digest)
        self._touch(found)
        for index, digest in enumerate(found):
            _copy_block(self._pooled(digest), _Block(cache, row, index))
        return len(found) * BLOCK

    def store(self, tokens: TokenIds, cache: KVCache, row: int) -> None:
        """Cache the blocks of tokens that were prefilled into a row."""
        digests = list(islice(_digests(tokens), self._capacity))
        known = [digest for digest in digests if digest in self._rows]
        self._touch(known)
        for index, digest in enumerate(digests):
            if digest not in self._rows:
                self._rows[digest] = self._free_row()
                _copy_block(_Block(cache, row, index), self._pooled(digest))
        self._touch(digests)

    def _pooled(self, digest: bytes) -> _Block:
        return _Block(self._pool, self._rows[digest], 0)

    def _free_row(self) -> int:
        if len(self._rows) < self._capacity:
            return len(self._rows)
        return self._rows.popitem(last=False)[1]

    def _touch(self, digests: list[bytes]) -> None:
        """Mark blocks as used, the last one first, so that a prefix outlives its continuations."""
        for digest in reversed(digests):
            self._rows.move_to_end(digest)


class _Block(NamedTuple):
    """The block with a given number in a row of a cache."""

    cache: KVCache
    row: int
    number: int

    @property
    def positions(self) -> slice:
        return slice(self.number * BLOCK, (self.number + 1) * BLOCK)


def _copy_block(source: _Block, target: _Block) -> None:
    for read, written in zip(source.cache.arrays, target.cache.arrays, strict=True):
        written[target.row, :, target.positions] = read[source.row, :, source.positions]


def _digests(tokens: TokenIds) -> Iterator[bytes]:
    """Yield one digest for each full block, of it and all before it. 16 bytes make collisions infeasible."""
    data, digest = np.asarray(tokens, np.int64), b""
    for end in range(BLOCK, len(data) + 1, BLOCK):
        digest = blake2b(digest + data[end - BLOCK : end].tobytes(), digest_size=16).digest()
        yield digest
