"""Token vectors become one vector an input, and vectors are brought to length one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from inference.contracts import Vectors

Hidden: TypeAlias = NDArray[np.float32]
"""Shape [inputs, positions, dimensions]; an input's tokens come first, padding behind them."""
Lengths: TypeAlias = NDArray[np.intp]
"""Shape [inputs]: how many positions of each input are tokens."""


SMALLEST = np.finfo(np.float32).tiny
"""Divides a row of zeros without harm."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is done with a graph's output. Pooling `none` takes vectors that the graph has pooled itself."""

    pooling: str
    normalize: bool

    def __call__(self, output: NDArray[np.float32], lengths: Lengths) -> Vectors:
        """Float32 [n, d] from [n, d] or [n, positions, d]."""
        vectors = output if self.pooling == "none" else POOLINGS[self.pooling](output, lengths)
        return normalized(vectors) if self.normalize else vectors


def normalized(vectors: Vectors) -> Vectors:
    """Every row at length one; a row of zeros stays as it is."""
    length = np.sqrt(np.add.reduce(vectors * vectors, axis=1, keepdims=True))
    unit: Vectors = np.divide(vectors, np.maximum(length, SMALLEST), dtype=np.float32)
    return unit


def mean(hidden: Hidden, lengths: Lengths) -> Vectors:
    """The mean over an input's tokens."""
    if len(lengths) == 1:  # one short text notices what the general way costs
        total = np.add.reduce(hidden[:, : lengths[0]], axis=1)
        alone: Vectors = np.divide(total, lengths[0], dtype=np.float32)
        return alone
    weights = (np.arange(hidden.shape[1]) < lengths[:, None]) / lengths[:, None]
    vectors: Vectors = np.matmul(weights[:, None, :].astype(np.float32), hidden)[:, 0]
    return vectors


def first(hidden: Hidden, _lengths: Lengths) -> Vectors:
    """The vector of the first token, the classification token of BERT's kind of model."""
    return hidden[:, 0]


def last(hidden: Hidden, lengths: Lengths) -> Vectors:
    """The vector of an input's last token, which has seen all others in a decoder's kind of model."""
    return hidden[np.arange(len(hidden)), lengths - 1]


POOLINGS: Mapping[str, Callable[[Hidden, Lengths], Vectors]] = {"mean": mean, "cls": first, "last": last}
