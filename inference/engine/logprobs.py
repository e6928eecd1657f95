"""Log probabilities of the model's own distribution, and its most likely tokens, without sorting it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inference.contracts import PositionLogprobs, TokenIds
from inference.engine.interfaces import Logits

FLOORS = (-4.0, -6.0, -8.0, -12.0, -np.inf)
"""Distances from the best logit within which the leading tokens are searched. The search starts with the one
that was wide enough for the row before: rows of one answer are alike."""
SURPLUS = 16
"""The ratio of tokens found to tokens wanted above which the next row's search starts with a narrower
distance."""
MIN_LOGPROB = -9999.0
"""The logarithm of zero, which JSON cannot write, as OpenAI's API writes it."""


class Distribution:
    """The log probabilities of one row of logits at a time, in memory of its own."""

    def __init__(self, vocabulary: int, top: int) -> None:
        """Allocate memory for rows of `vocabulary` logits, of which the `top` most likely are reported."""
        self._top = min(top, vocabulary)
        self._shifted = np.empty(vocabulary, np.float32)
        self._weights = np.empty(vocabulary, np.float32)
        self._total = np.float32(0)
        self._floor = 0

    def read(self, logits: Logits) -> None:
        """Load a row, float32 [vocabulary], and leave it as it is."""
        with np.errstate(invalid="ignore"):  # a row that is not finite fails where the next token is sampled
            np.subtract(logits, logits.max(), out=self._shifted)
            np.exp(self._shifted, out=self._weights)
            self._total = np.log(self._weights.sum())

    def of(self, token: int) -> PositionLogprobs:
        """Return the log probability of a token in the loaded row, with the most likely alternatives."""
        return PositionLogprobs(
            self._logprob(token), tuple((other, self._logprob(other)) for other in self._best())
        )

    def _logprob(self, token: int) -> float:
        return max(float(self._shifted[token] - self._total), MIN_LOGPROB)

    def _best(self) -> TokenIds:
        """Return the most likely tokens, the first of them first; of equal ones the smaller ids."""
        if not self._top:
            return ()
        found = np.flatnonzero(self._shifted >= FLOORS[self._floor])
        while found.size < self._top:
            self._floor += 1
            found = np.flatnonzero(self._shifted >= FLOORS[self._floor])
        if found.size > SURPLUS * self._top:
            self._floor = max(self._floor - 1, 0)
        values = self._shifted[found]
        if found.size > 4 * self._top:
            least = np.partition(values, -self._top)[-self._top]
            found, values = found[values >= least], values[values >= least]
        ranked: TokenIds = found[np.argsort(-values, kind="stable")[: self._top]].tolist()
        return ranked


def prompt_logprobs(logits: Logits, following: TokenIds, top: int) -> Iterator[PositionLogprobs]:
    """Yield the log probability of the token that follows each of the rows [positions, vocabulary]."""
    distribution = Distribution(logits.shape[1], top)
    for row, token in zip(logits, following, strict=False):
        distribution.read(row)
        yield distribution.of(token)
