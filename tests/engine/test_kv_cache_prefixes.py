"""Restored prefixes, the memory of the cache, and eviction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.contracts import TokenIds
from inference.engine.kv_cache import BLOCK, CacheLayout, KVCache, PrefixCache

LAYOUT = CacheLayout(((2, 4), (1, 8)), np.dtype(np.float32))
BLOCK_BYTES = LAYOUT.bytes_per_token * BLOCK
LENGTH = 8 * BLOCK


def some_cache(seed: int) -> KVCache:
    cache = KVCache.allocate(LAYOUT, 2, LENGTH)
    random = np.random.default_rng(seed)
    for array in cache.arrays:
        array[:] = random.standard_normal(array.shape)
    return cache


def tokens(count: int, *, seed: int = 0) -> TokenIds:
    ids: list[int] = np.random.default_rng(seed).integers(0, 1000, count).tolist()
    return tuple(ids)


def row(cache: KVCache, number: int, count: int) -> list[NDArray[Any]]:
    return [array[number, :, :count].copy() for array in cache.arrays]


def test_stored_prefix_is_restored_in_another_row() -> None:
    prefixes, cache = PrefixCache(LAYOUT, 8 * BLOCK_BYTES), some_cache(1)
    prefixes.store(tokens(200), cache, 0)
    other = KVCache.allocate(LAYOUT, 2, LENGTH)
    assert prefixes.restore(tokens(200), other, 1) == 3 * BLOCK
    for found, stored in zip(row(other, 1, 3 * BLOCK), row(cache, 0, 3 * BLOCK), strict=True):
        np.testing.assert_array_equal(found, stored)
    assert not any(array[1, :, 3 * BLOCK :].any() or array[0].any() for array in other.arrays)


@pytest.mark.parametrize(
    ("length", "restored"), [(BLOCK, 0), (BLOCK + 1, 0), (BLOCK + 2, BLOCK), (2 * BLOCK + 1, BLOCK), (2, 0)]
)
def test_at_least_two_tokens_are_left_to_run(length: int, restored: int) -> None:
    prefixes, cache = PrefixCache(LAYOUT, 8 * BLOCK_BYTES), some_cache(1)
    prefixes.store(tokens(300), cache, 0)
    assert prefixes.restore(tokens(300)[:length], cache, 1) == restored


def test_block_is_found_after_the_same_blocks_only() -> None:
    prefixes, cache = PrefixCache(LAYOUT, 8 * BLOCK_BYTES), some_cache(1)
    first, second = tokens(BLOCK), tokens(BLOCK, seed=1)
    prefixes.store((*first, *second), cache, 0)
    assert prefixes.restore((*first, *first, 1, 2), cache, 1) == BLOCK
    assert prefixes.restore((*second, *first, 1, 2), cache, 1) == 0
    assert prefixes.restore((*first, *second, 1, 2), cache, 1) == 2 * BLOCK


def test_least_recently_used_block_is_evicted_and_ends_go_before_prefixes() -> None:
    prefixes, cache = PrefixCache(LAYOUT, 4 * BLOCK_BYTES), some_cache(1)
    old, new = tokens(2 * BLOCK), tokens(2 * BLOCK, seed=1)
    prefixes.store(old, cache, 0)
    prefixes.store(new, cache, 0)
    assert prefixes.restore((*old, 1, 2), cache, 1) == 2 * BLOCK  # now the newest
    prefixes.store(tokens(BLOCK, seed=2), cache, 0)
    assert prefixes.restore((*new, 1, 2), cache, 1) == BLOCK
    assert prefixes.restore((*old, 1, 2), cache, 1) == 2 * BLOCK


def test_prompt_larger_than_the_memory_keeps_its_prefix() -> None:
    prefixes, cache = PrefixCache(LAYOUT, 2 * BLOCK_BYTES), some_cache(1)
    prefixes.store(tokens(5 * BLOCK), cache, 0)
    prefixes.store(tokens(5 * BLOCK), cache, 0)
    assert prefixes.restore(tokens(5 * BLOCK), cache, 1) == 2 * BLOCK


def test_memory_is_bounded() -> None:
    prefixes, cache = PrefixCache(LAYOUT, 3 * BLOCK_BYTES), some_cache(1)
    for seed in range(20):
        prefixes.store(tokens(2 * BLOCK, seed=seed), cache, 0)
    assert prefixes.restore((*tokens(2 * BLOCK, seed=19), 1, 2), cache, 1) == 2 * BLOCK
    assert prefixes.restore((*tokens(2 * BLOCK, seed=17), 1, 2), cache, 1) == 0


def test_budget_below_one_block_caches_nothing() -> None:
    prefixes, cache = PrefixCache(LAYOUT, BLOCK_BYTES - 1), some_cache(1)
    prefixes.store(tokens(300), cache, 0)
    assert prefixes.restore(tokens(300), cache, 1) == 0
