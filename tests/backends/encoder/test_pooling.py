import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.backends.encoder.pooling import POOLINGS, EmbeddingHead, normalized

HIDDEN = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
"""Two inputs of three positions of four numbers."""
LENGTHS = np.array([3, 2])


@pytest.mark.parametrize(
    ("pooling", "rows"),
    [
        ("mean", [[4, 5, 6, 7], [14, 15, 16, 17]]),
        ("cls", [[0, 1, 2, 3], [12, 13, 14, 15]]),
        ("last", [[8, 9, 10, 11], [16, 17, 18, 19]]),
    ],
)
def test_padding_is_not_pooled(pooling: str, rows: list[list[float]]) -> None:
    vectors = EmbeddingHead(pooling, normalize=False)(HIDDEN, LENGTHS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, rows, rtol=1e-6)


def test_none_keeps_the_pooling_of_the_graph() -> None:
    pooled = HIDDEN[:, 0]
    np.testing.assert_array_equal(EmbeddingHead("none", normalize=False)(pooled, LENGTHS), pooled)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_normalised_vectors_have_length_one(pooling: str) -> None:
    vectors = EmbeddingHead(pooling, normalize=True)(HIDDEN, LENGTHS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_row_of_zeros_stays_zero() -> None:
    np.testing.assert_array_equal(normalized(np.zeros((1, 4), np.float32)), np.zeros((1, 4)))


@pytest.mark.parametrize("pooling", POOLINGS)
@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_padding_leaves_the_embedding_as_it_is(pooling: str, lengths: list[int], seed: int) -> None:
    hidden: NDArray[np.float32] = np.random.default_rng(seed).standard_normal(
        (len(lengths), 9, 4), np.float32
    )
    together = EmbeddingHead(pooling, normalize=True)(hidden, np.array(lengths))
    for row, length in enumerate(lengths):
        alone = EmbeddingHead(pooling, normalize=True)(hidden[row : row + 1, :length], np.array([length]))
        np.testing.assert_allclose(together[row], alone[0], atol=1e-6)
