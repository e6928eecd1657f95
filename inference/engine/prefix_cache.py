"""Prompts that begin alike are computed once: keys and values of prefilled tokens, kept by what they are.

Tokens are kept in blocks, each under a digest of itself and of all before it. A block is found when every
block before it is; the least recently used one makes room. Only tokens that were prefilled are kept: what
was decoded one by one is rounded differently and would make an answer depend on what was asked before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice

import numpy as np

from inference.contracts import TokenIds
from inference.engine.kv_cache import CacheLayout, KVCache

BLOCK = 64
"""Tokens of a block: of a prefix up to one less are computed again."""
REMAINDER = 2
"""Tokens that are always left to run: a run of one token rounds differently from a run of several."""


class PrefixCache:
    """Blocks of a bounded memory of their own. Used by the engine's thread alone."""

    def __init__(self, layout: CacheLayout, budget: int) -> None:
        """`budget` is in bytes; less than a block's worth keeps nothing."""
        self._capacity = budget // (layout.bytes_per_token * BLOCK)
        self._pool = KVCache.allocate(layout, self._capacity, BLOCK)
        self._blocks: OrderedDict[bytes, int] = OrderedDict()
        """Digest to row of the pool, the least recently used first."""

    def restore(self, tokens: TokenIds, cache: KVCache, row: int) -> int:
        """Copies the longest known beginning of the tokens into a row; gives its length."""
        found: list[bytes] = []
        for digest in _digests(tokens[:-REMAINDER]):
            if digest not in self._blocks:
                break
            found.append(digest)
        self._touch(found)
        for place, digest in enumerate(found):
            _copy(self._pool, self._blocks[digest], 0, cache, row, place * BLOCK)
        return len(found) * BLOCK

    def keep(self, tokens: TokenIds, cache: KVCache, row: int) -> None:
        """Keeps what a row holds of tokens that were prefilled into it."""
        digests = list(islice(_digests(tokens), self._capacity))
        known = [digest for digest in digests if digest in self._blocks]
        self._touch(known)
        for place, digest in enumerate(digests):
            if digest not in self._blocks:
                self._blocks[digest] = self._room()
                _copy(cache, row, place * BLOCK, self._pool, self._blocks[digest], 0)
        self._touch(digests)

    def _room(self) -> int:
        if len(self._blocks) < self._capacity:
            return len(self._blocks)
        return self._blocks.popitem(last=False)[1]

    def _touch(self, digests: list[bytes]) -> None:
        """Last block first, so that a beginning outlives what goes on from it."""
        for digest in reversed(digests):
            self._blocks.move_to_end(digest)


def _digests(tokens: TokenIds) -> Iterator[bytes]:
    """One for each full block, of it and all before it. 16 bytes, so that nobody finds two alike."""
    data, digest = np.asarray(tokens, np.int64), b""
    for end in range(BLOCK, len(data) + 1, BLOCK):
        digest = blake2b(digest + data[end - BLOCK : end].tobytes(), digest_size=16).digest()
        yield digest


def _copy(source: KVCache, from_row: int, start: int, target: KVCache, to_row: int, begin: int) -> None:
    for taken, given in zip(source.arrays, target.arrays, strict=True):
        given[to_row, :, begin : begin + BLOCK] = taken[from_row, :, start : start + BLOCK]
