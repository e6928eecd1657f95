"""The prefix cache: keys and values of prefilled tokens, found again when a prompt starts with the same ones.

Tokens are cached in blocks, each under a digest of itself and of all blocks before it. A block is found when
every block before it is; the least recently used one is evicted. Only prefilled tokens are cached: tokens
that were decoded one by one are rounded differently, and an answer would depend on the requests before it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

import numpy as np

from inference.contracts import TokenIds
from inference.engine.kv_cache import CacheLayout, KVCache

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
