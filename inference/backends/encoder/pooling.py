"""Token vectors become one vector an input, and vectors are brought to length one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from inference.contracts import Vectors

    Projection: TypeAlias = Callable[[Vectors], Vectors]
    """A layer behind the pooling, from [n, d] to [n, e]."""

Hidden: TypeAlias = NDArray[np.float32]
"""Shape [inputs, positions, dimensions]; an input's tokens come first, padding behind them."""
Lengths: TypeAlias = NDArray[np.intp]
"""Shape [inputs]: how many positions of each input are tokens."""

SMALLEST = np.finfo(np.float32).tiny
"""Divides a row of zeros without harm."""


@dataclass(frozen=True, slots=True)
class EmbeddingHead:
    """What is done with a graph's output: pooled, projected, brought to length one.

    Pooling `none` takes vectors that the graph has pooled itself; several names joined by `+` put their
    vectors side by side. `skips_prompt` leaves the tokens of a prompt out of means and maxima.
    """

    pooling: str
    normalize: bool
    projections: tuple[Projection, ...] = ()
    skips_prompt: bool = False

    def __call__(
        self, output: NDArray[np.float32], lengths: Lengths, prompts: Lengths | None = None
    ) -> Vectors:
        """Float32 [n, d] from [n, d] or [n, positions, d].

        `prompts`, [inputs], is how many tokens of each input are its prompt: none without it.
        """
        vectors = output if self.pooling == "none" else self._pooled(output, lengths, prompts)
        for projection in self.projections:
            vectors = projection(vectors)
        return normalized(vectors) if self.normalize else vectors

    def _pooled(self, hidden: Hidden, lengths: Lengths, prompts: Lengths | None) -> Vectors:
        starts = np.zeros_like(lengths) if prompts is None or not self.skips_prompt else prompts
        # Of an input that is all prompt the last token is left.
        parts = [POOLINGS[name](hidden, np.minimum(starts, lengths - 1), lengths) for name in self._names]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    @property
    def _names(self) -> list[str]:
        return self.pooling.split("+")


def normalized(vectors: Vectors) -> Vectors:
    """Every row at length one; a row of zeros stays as it is."""
    length = np.sqrt(np.add.reduce(vectors * vectors, axis=1, keepdims=True))
    unit: Vectors = np.divide(vectors, np.maximum(length, SMALLEST), dtype=np.float32)
    return unit


def mean(hidden: Hidden, starts: Lengths, lengths: Lengths) -> Vectors:
    """The mean over an input's tokens."""
    if len(lengths) == 1:  # one short text notices what the general way costs
        total = np.add.reduce(hidden[:, starts[0] : lengths[0]], axis=1)
        alone: Vectors = np.divide(total, lengths[0] - starts[0], dtype=np.float32)
        return alone
    return _weighted(hidden, _present(hidden, starts, lengths) / (lengths - starts)[:, None])


def mean_sqrt_len(hidden: Hidden, starts: Lengths, lengths: Lengths) -> Vectors:
    """The sum over an input's tokens, divided by the square root of their number."""
    return _weighted(hidden, _present(hidden, starts, lengths) / np.sqrt(lengths - starts)[:, None])


def weighted_mean(hidden: Hidden, starts: Lengths, lengths: Lengths) -> Vectors:
    """The mean in which the token at position p, counted from 1, counts p times."""
    weights = _present(hidden, starts, lengths) * np.arange(1, hidden.shape[1] + 1)
    return _weighted(hidden, weights / weights.sum(axis=1, keepdims=True))


def largest(hidden: Hidden, starts: Lengths, lengths: Lengths) -> Vectors:
    """Of each dimension the greatest number that any token has."""
    present = _present(hidden, starts, lengths)[:, :, None]
    vectors: Vectors = np.where(present, hidden, np.float32(-np.inf)).max(axis=1)
    return vectors


def first(hidden: Hidden, starts: Lengths, _lengths: Lengths) -> Vectors:
    """The vector of the first token, the classification token of BERT's kind of model."""
    return hidden[np.arange(len(hidden)), starts]


def last(hidden: Hidden, _starts: Lengths, lengths: Lengths) -> Vectors:
    """The vector of an input's last token, which has seen all others in a decoder's kind of model."""
    return hidden[np.arange(len(hidden)), lengths - 1]


def _present(hidden: Hidden, starts: Lengths, lengths: Lengths) -> NDArray[np.bool_]:
    positions = np.arange(hidden.shape[1])
    return np.asarray((positions >= starts[:, None]) & (positions < lengths[:, None]))


def _weighted(hidden: Hidden, weights: NDArray[np.floating]) -> Vectors:
    vectors: Vectors = np.matmul(weights[:, None, :].astype(np.float32), hidden)[:, 0]
    return vectors


POOLINGS: Mapping[str, Callable[[Hidden, Lengths, Lengths], Vectors]] = {
    "mean": mean,
    "cls": first,
    "last": last,
    "max": largest,
    "weighted_mean": weighted_mean,
    "mean_sqrt_len": mean_sqrt_len,
}
