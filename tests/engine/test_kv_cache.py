"""Shapes, the memory budget, and the positions that moving and clearing a row change."""

from __future__ import annotations

import numpy as np
import pytest

from inference.engine.kv_cache import CacheLayout, KVCache

LAYOUT = CacheLayout(((2, 8), (2, 4)), np.dtype(np.float32))


def test_token_takes_the_heads_and_sizes_of_every_tensor() -> None:
    assert LAYOUT.bytes_per_token == 4 * (2 * 8 + 2 * 4)
    assert CacheLayout(LAYOUT.tensors, np.dtype(np.float16)).bytes_per_token == LAYOUT.bytes_per_token / 2


@pytest.mark.parametrize(
    ("budget_tokens", "rows"), [(99, 0), (100, 1), (199, 1), (350, 3), (800, 8), (10_000, 8)]
)
def test_rows_are_as_many_as_fit_the_budget_and_at_most_the_slots(budget_tokens: int, rows: int) -> None:
    budget = budget_tokens * LAYOUT.bytes_per_token
    assert LAYOUT.rows_within(budget, slots=8, length=100) == rows


def test_arrays_are_rows_heads_length_size_of_zeros() -> None:
    cache = KVCache.allocate(LAYOUT, rows=3, length=10)
    assert [array.shape for array in cache.arrays] == [(3, 2, 10, 8), (3, 2, 10, 4)]
    assert (cache.rows, cache.length) == (3, 10)
    assert all(array.dtype == np.float32 and not array.any() for array in cache.arrays)


def test_move_copies_the_first_positions_of_every_tensor() -> None:
    cache = KVCache.allocate(LAYOUT, rows=3, length=10)
    for array in cache.arrays:
        array[2], array[0] = 2, 7
    cache.move(2, 0, 4)
    for array in cache.arrays:
        assert (array[0, :, :4] == 2).all()
        assert (array[0, :, 4:] == 7).all()
        assert not array[1].any()


def test_clear_zeroes_the_first_positions_of_one_row() -> None:
    cache = KVCache.allocate(LAYOUT, rows=2, length=10)
    for array in cache.arrays:
        array[:] = np.nan
    cache.clear(1, 6)
    for array in cache.arrays:
        assert not array[1, :, :6].any()
        assert np.isnan(array[1, :, 6:]).all()
        assert np.isnan(array[0]).all()
