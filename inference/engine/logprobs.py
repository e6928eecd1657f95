"""Log probabilities of the model's own distribution, and its most likely tokens, without sorting it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inference.contracts import PositionLogprobs, TokenIds
from inference.engine.interfaces import Logits

FLOORS = (-4.0, -6.0, -8.0, -12.0, -np.inf)
"""Distances from the best logit within which the leading tokens are looked for. The search begins with the
one that was wide enough for the row before: rows of one answer are alike."""
PLENTY = 16
"""Times as many tokens as are looked for: then the next row's search begins with a narrower distance."""
LEAST = -9999.0
"""What stands for the logarithm of nothing, which JSON cannot write; OpenAI's API writes the same."""


class Distribution:
    """Reads one row of logits at a time into memory of its own, so that the row may be overwritten."""

    def __init__(self, vocabulary: int, top: int) -> None:
        """`top` is how many alternatives to tell."""
        self._top = min(top, vocabulary)
        self._shifted = np.empty(vocabulary, np.float32)
        self._weights = np.empty(vocabulary, np.float32)
        self._total = np.float32(0)
        self._floor = 0

    def read(self, logits: Logits) -> None:
        """Takes float32 [vocabulary], which stay as they are."""
        with np.errstate(invalid="ignore"):  # what is not finite fails where the next token is drawn
            np.subtract(logits, logits.max(), out=self._shifted)
            np.exp(self._shifted, out=self._weights)
            self._total = np.log(self._weights.sum())

    def of(self, token: int) -> PositionLogprobs:
        """What the row that was read says of a token."""
        return PositionLogprobs(
            self._logprob(token), tuple((other, self._logprob(other)) for other in self._best())
        )

    def _logprob(self, token: int) -> float:
        return max(float(self._shifted[token] - self._total), LEAST)

    def _best(self) -> TokenIds:
        """The most likely tokens, the first of them first; of equal ones the smaller ids."""
        if not self._top:
            return ()
        found = np.flatnonzero(self._shifted >= FLOORS[self._floor])
        while found.size < self._top:
            self._floor += 1
            found = np.flatnonzero(self._shifted >= FLOORS[self._floor])
        if found.size > PLENTY * self._top:
            self._floor = max(self._floor - 1, 0)
        values = self._shifted[found]
        if found.size > 4 * self._top:
            least = np.partition(values, -self._top)[-self._top]
            found, values = found[values >= least], values[values >= least]
        ranked: TokenIds = found[np.argsort(-values, kind="stable")[: self._top]].tolist()
        return ranked


def of_prompt(logits: Logits, following: TokenIds, top: int) -> Iterator[PositionLogprobs]:
    """For each of the rows [positions, vocabulary], what it says of the token that follows there."""
    distribution = Distribution(logits.shape[1], top)
    for row, token in zip(logits, following, strict=False):
        distribution.read(row)
        yield distribution.of(token)
