"""The next token of a sequence: bias, penalties, temperature, top-k, top-p, min-p; and log probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from inference.contracts import PositionLogprobs, Sampling, TokenIds
from inference.engine.interfaces import IntArray, Logits

LOGIT_FLOORS = (-4.0, -6.0, -8.0, -12.0, -np.inf)
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
        found = np.flatnonzero(self._shifted >= LOGIT_FLOORS[self._floor])
        while found.size < self._top:
            self._floor += 1
            found = np.flatnonzero(self._shifted >= LOGIT_FLOORS[self._floor])
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


WEIGHT_FLOORS = (2.0**-6, 2.0**-12, 0.0)
"""Weights, relative to the most likely token's, above which the leading tokens are searched: nearly always
the first leaves some hundred tokens to sort, and the last leaves all of them."""
BLOCK = 256
"""Weights summed at once when a token is drawn from the whole vocabulary."""
SMALLEST_TEMPERATURE = float(np.finfo(np.float32).tiny)
"""Below it float32 cannot divide; the most likely token has all the probability long before."""

Mask: TypeAlias = Callable[[Logits], None]
"""Sets the logits of tokens that may not follow to minus infinity, in place."""


class NotFinite(ArithmeticError):
    """A best logit that is NaN or infinite, so that there is nothing to draw from."""


class Sampler:
    """The `Sampling` of one sequence, with its random numbers and the tokens that its penalties count."""

    def __init__(self, sampling: Sampling, prompt: TokenIds, vocabulary: int) -> None:
        self._sampling = sampling
        self._top_k = min(sampling.top_k or vocabulary, vocabulary)
        self._greedy = sampling.temperature < SMALLEST_TEMPERATURE or sampling.top_p <= 0 or self._top_k == 1
        self._penalties = Penalties(sampling, prompt, vocabulary)
        self._random = None if self._greedy else random_numbers(sampling.seed)

    def draw(self, logits: Logits, mask: Mask | None = None) -> int:
        """Return the next token, from [vocabulary] logits, which are overwritten.

        `mask` removes tokens that may not follow, after bias and penalties. Raises `NotFinite`.
        """
        if mask is not None:
            best_of(logits)  # a mask could hide a NaN
        self._penalties.apply(logits)
        if mask is not None:
            mask(logits)
        best = best_of(logits)
        token = best if self._random is None else self._pick(logits, best, self._random)
        self._penalties.count(token)
        return token

    def count(self, token: int) -> None:
        """Count a token of the answer that was forced, not drawn."""
        self._penalties.count(token)

    def _pick(self, logits: Logits, best: int, random: np.random.Generator) -> int:
        weights = relative_weights(logits, best, self._sampling.temperature)
        uniform = random.random()
        if self._top_k < weights.size or self._sampling.top_p < 1:
            kept = leading(weights, self._top_k, self._sampling.top_p)
            kept = kept[weights[kept] >= self._sampling.min_p]
        elif self._sampling.min_p > 0:
            kept = np.flatnonzero(weights >= self._sampling.min_p)
        else:
            return invert_blockwise(weights, uniform)
        return int(kept[invert(np.cumsum(weights[kept], dtype=np.float64), uniform)])


class Penalties:
    """`logit_bias`, then `repetition_penalty`, then the frequency and presence penalties of one sequence.

    Frequency and presence count the tokens of the answer; repetition includes the prompt's. Only the logits
    of these tokens are touched. Ids from `vocabulary` on name no token and are ignored.
    """

    def __init__(self, sampling: Sampling, prompt: TokenIds, vocabulary: int) -> None:
        bias = {token: value for token, value in sampling.logit_bias.items() if 0 <= token < vocabulary}
        self._biased: IntArray = np.array(list(bias), np.int64)
        self._bias = np.array(list(bias.values()), np.float32)
        self._repetition = np.float32(sampling.repetition_penalty)
        self._frequency = np.float32(sampling.frequency_penalty)
        self._presence = np.float32(sampling.presence_penalty)
        self._answer = TokenCounts() if sampling.frequency_penalty or sampling.presence_penalty else None
        self._all = None
        if sampling.repetition_penalty != 1:
            known: IntArray = np.unique(np.asarray(prompt, np.int64))
            self._all = TokenCounts(known[known < vocabulary])

    def apply(self, logits: Logits) -> None:
        """Change [vocabulary] logits in place."""
        if self._biased.size:
            logits[self._biased] += self._bias
        if self._all is not None:
            found = logits[self._all.tokens]
            logits[self._all.tokens] = np.where(found > 0, found / self._repetition, found * self._repetition)
        if self._answer is not None:
            logits[self._answer.tokens] -= self._answer.counts * self._frequency + self._presence

    def count(self, token: int) -> None:
        """Count a token of the answer."""
        for counts in (self._answer, self._all):
            if counts is not None:
                counts.add(token)


class TokenCounts:
    """Tokens with their counts, in arrays that grow by doubling: a step never rebuilds them."""

    def __init__(self, known: IntArray | None = None) -> None:
        """Start with distinct tokens that were there once."""
        first: IntArray = np.zeros(0, np.int64) if known is None else known
        self._indices = {token: index for index, token in enumerate(first.tolist())}
        self._tokens: IntArray = np.concatenate([first, np.zeros(64, np.int64)])
        self._counts = np.concatenate([np.ones(len(first), np.float32), np.zeros(64, np.float32)])

    @property
    def tokens(self) -> IntArray:
        """The distinct ids, int64."""
        return self._tokens[: len(self._indices)]

    @property
    def counts(self) -> Logits:
        """The count of each of `tokens`, float32."""
        return self._counts[: len(self._indices)]

    def add(self, token: int) -> None:
        """Count a token once more."""
        index = self._indices.setdefault(token, len(self._indices))
        if index == len(self._tokens):
            self._tokens = np.concatenate([self._tokens, np.zeros_like(self._tokens)])
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
        self._tokens[index] = token
        self._counts[index] += 1


def best_of(logits: Logits) -> int:
    """Return the most likely token. Raises `NotFinite` where one of the logits is NaN or plus infinity."""
    best = int(logits.argmax())
    if not np.isfinite(logits[best]):
        raise NotFinite
    return best


def random_numbers(seed: int | None) -> np.random.Generator:
    """Return the random numbers of a signed 64-bit seed, or fresh ones."""
    return np.random.Generator(np.random.PCG64(None if seed is None else seed % 2**64))


def relative_weights(logits: Logits, best: int, temperature: float) -> Logits:
    """Return probabilities divided by that of the most likely token, in the logits' own memory."""
    with np.errstate(over="ignore"):  # to minus infinity, whose weight is 0
        np.subtract(logits, logits[best], out=logits)
        np.divide(logits, np.float32(temperature), out=logits)
    return np.exp(logits, out=logits)


def leading(weights: Logits, top_k: int, top_p: float) -> IntArray:
    """Return the most likely tokens, by id: `top_k` of them, and of those the fewest that reach `top_p`.

    Of equal weights the smaller ids are kept.
    """
    limited = top_k < weights.size
    total = float(weights.sum())
    for floor in WEIGHT_FLOORS:
        tokens: IntArray = np.flatnonzero(weights >= floor)
        if tokens.size >= top_k if limited else weights[tokens].sum() >= top_p * total:
            break
    found = weights[tokens]
    best = np.partition(found, -top_k)[-top_k:] if limited else found
    # Values alone sort several times faster than indices by value.
    ranked = np.sort(best)[::-1]
    if top_p < 1:
        reached = np.cumsum(ranked, dtype=np.float64)
        goal = top_p * (reached[-1] if limited else total)
        ranked = ranked[: np.searchsorted(reached, goal) + 1]
    kept = found >= ranked[-1]
    surplus = np.count_nonzero(kept) - ranked.size
    if surplus:
        kept[np.flatnonzero(found == ranked[-1])[-surplus:]] = False
    chosen: IntArray = tokens[kept]
    return chosen


def invert(cumulative: NDArray[np.float64], uniform: float) -> int:
    """Return the index whose share of cumulative weights contains `uniform` of [0, 1): one with weight."""
    total = cumulative[-1]
    index = np.searchsorted(cumulative, uniform * total, side="right")
    return int(min(index, np.searchsorted(cumulative, total, side="left")))


def invert_blockwise(weights: Logits, uniform: float) -> int:
    """Return `invert` of all weights: by sums of blocks first, then inside one block."""
    edges = np.arange(0, weights.size, BLOCK)
    cumulative = np.cumsum(np.add.reduceat(weights, edges), dtype=np.float64)
    block = invert(cumulative, uniform)
    before = cumulative[block - 1] if block else 0.0
    share = (uniform * cumulative[-1] - before) / (cumulative[block] - before)
    inside = weights[edges[block] : edges[block] + BLOCK]
    return int(edges[block]) + invert(np.cumsum(inside, dtype=np.float64), float(share))
