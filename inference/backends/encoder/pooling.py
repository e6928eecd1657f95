"""Pooling of token vectors into one vector an input, and L2 normalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from inference.contracts import Vectors

    Projection: TypeAlias = Callable[[Vectors], Vectors]
    """A layer after the pooling, from [n, d] to [n, e]."""

HiddenStates: TypeAlias = NDArray[np.float32]
"""Shape [inputs, positions, dimensions]; an input's tokens come first, then its padding."""
Lengths: TypeAlias = NDArray[np.intp]
"""Shape [inputs]: a number of positions in each input."""

TINY = np.finfo(np.float32).tiny
"""The least divisor, so that a row of zeros stays zeros."""


@dataclass(frozen=True, slots=True)
class EmbeddingHead:
    """The steps from a graph's output to embeddings: pooling, projections, normalisation.

    Pooling `none` takes vectors that the graph has pooled itself; several names joined by `+` concatenate
    their vectors. `skips_prompt` excludes the tokens of a prompt from the pooling.
    """

    pooling: str
    normalize: bool
    projections: tuple[Projection, ...] = ()
    skips_prompt: bool = False
    size: int | None = None
    """The first so many numbers of a vector are kept, as sentence-transformers' `truncate_dim` has it."""

    def __call__(
        self, output: NDArray[np.float32], lengths: Lengths, prompt_lengths: Lengths | None = None
    ) -> Vectors:
        """Return embeddings, float32 [n, d], of a graph's output, [n, d] or [n, positions, d].

        `prompt_lengths`, [inputs], are the tokens of each input that are its prompt; absent, none are.
        """
        vectors = output if self.pooling == "none" else self._pool(output, lengths, prompt_lengths)
        for projection in self.projections:
            vectors = projection(vectors)
        vectors = normalized(vectors) if self.normalize else vectors
        return vectors if self.size is None else np.ascontiguousarray(vectors[:, : self.size])

    def _pool(self, hidden: HiddenStates, lengths: Lengths, prompt_lengths: Lengths | None) -> Vectors:
        starts = np.zeros_like(lengths)
        if self.skips_prompt and prompt_lengths is not None:
            # An input that is all prompt keeps its last token.
            starts = np.minimum(prompt_lengths, lengths - 1)
        parts = [POOLINGS[name](hidden, starts, lengths) for name in self.pooling.split("+")]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def normalized(vectors: Vectors) -> Vectors:
    """Return every row scaled to length one; a row of zeros stays as it is."""
    norms = np.sqrt(np.add.reduce(vectors * vectors, axis=1, keepdims=True))
    unit: Vectors = np.divide(vectors, np.maximum(norms, TINY), dtype=np.float32)
    return unit


def mean(hidden: HiddenStates, starts: Lengths, lengths: Lengths) -> Vectors:
    """Return the mean over the tokens of each input."""
    if len(lengths) == 1:  # The general way below costs a single short text a noticeable share of its time.
        total = np.add.reduce(hidden[:, starts[0] : lengths[0]], axis=1)
        single: Vectors = np.divide(total, lengths[0] - starts[0], dtype=np.float32)
        return single
    return _weighted_sum(hidden, _token_mask(hidden, starts, lengths) / (lengths - starts)[:, None])


def mean_sqrt_len(hidden: HiddenStates, starts: Lengths, lengths: Lengths) -> Vectors:
    """Return the sum over the tokens of each input, divided by the square root of their number."""
    return _weighted_sum(hidden, _token_mask(hidden, starts, lengths) / np.sqrt(lengths - starts)[:, None])


def weighted_mean(hidden: HiddenStates, starts: Lengths, lengths: Lengths) -> Vectors:
    """Return the mean in which the token at position p, counted from 1, has the weight p."""
    weights = _token_mask(hidden, starts, lengths) * np.arange(1, hidden.shape[1] + 1)
    return _weighted_sum(hidden, weights / weights.sum(axis=1, keepdims=True))


def maximum(hidden: HiddenStates, starts: Lengths, lengths: Lengths) -> Vectors:
    """Return the greatest number of each dimension over the tokens of each input."""
    mask = _token_mask(hidden, starts, lengths)[:, :, None]
    vectors: Vectors = np.where(mask, hidden, np.float32(-np.inf)).max(axis=1)
    return vectors


def first_token(hidden: HiddenStates, starts: Lengths, _lengths: Lengths) -> Vectors:
    """Return the vector of the first token, the classification token of models like BERT."""
    return hidden[np.arange(len(hidden)), starts]


def last_token(hidden: HiddenStates, _starts: Lengths, lengths: Lengths) -> Vectors:
    """Return the vector of the last token, which has attended to all others in models like decoders."""
    return hidden[np.arange(len(hidden)), lengths - 1]


def _token_mask(hidden: HiddenStates, starts: Lengths, lengths: Lengths) -> NDArray[np.bool_]:
    """Return [inputs, positions], True at the tokens that are pooled."""
    positions = np.arange(hidden.shape[1])
    return np.asarray((positions >= starts[:, None]) & (positions < lengths[:, None]))


def _weighted_sum(hidden: HiddenStates, weights: NDArray[np.floating]) -> Vectors:
    vectors: Vectors = np.matmul(weights[:, None, :].astype(np.float32), hidden)[:, 0]
    return vectors


POOLINGS: Mapping[str, Callable[[HiddenStates, Lengths, Lengths], Vectors]] = {
    "mean": mean,
    "cls": first_token,
    "last": last_token,
    "max": maximum,
    "weighted_mean": weighted_mean,
    "mean_sqrt_len": mean_sqrt_len,
}
"""The poolings by the names that a card has for them."""
