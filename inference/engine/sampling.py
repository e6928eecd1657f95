"""The changes to single logits: bias, and penalties for tokens that were already there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from inference.contracts import Sampling, TokenIds
from inference.engine.interfaces import Counts, Logits


class Penalties:
    """`logit_bias`, then `repetition_penalty`, then the frequency and presence penalties of one sequence.

    Frequency and presence count the tokens of the answer; repetition looks at the prompt too. Only the tokens
    concerned are touched. Ids from `vocabulary` on name no token and are left out.
    """

    def __init__(self, sampling: Sampling, prompt: TokenIds, vocabulary: int) -> None:
        bias = {token: value for token, value in sampling.logit_bias.items() if 0 <= token < vocabulary}
        self._biased: Counts = np.array(list(bias), np.int64)
        self._bias = np.array(list(bias.values()), np.float32)
        self._repetition = np.float32(sampling.repetition_penalty)
        self._frequency = np.float32(sampling.frequency_penalty)
        self._presence = np.float32(sampling.presence_penalty)
        self._answer = TokenCounts() if sampling.frequency_penalty or sampling.presence_penalty else None
        self._seen = None
        if sampling.repetition_penalty != 1:
            known: Counts = np.unique(np.asarray(prompt, np.int64))
            self._seen = TokenCounts(known[known < vocabulary])

    def apply(self, logits: Logits) -> None:
        """Changes [vocabulary] logits in place."""
        if self._biased.size:
            logits[self._biased] += self._bias
        if self._seen is not None:
            found = logits[self._seen.tokens]
            logits[self._seen.tokens] = np.where(
                found > 0, found / self._repetition, found * self._repetition
            )
        if self._answer is not None:
            logits[self._answer.tokens] -= self._answer.counts * self._frequency + self._presence

    def count(self, token: int) -> None:
        """Takes note of a token of the answer."""
        for tally in (self._answer, self._seen):
            if tally is not None:
                tally.add(token)


class TokenCounts:
    """Tokens and how often each was there, in arrays that grow by doubling: a step never rebuilds them."""

    def __init__(self, known: Counts | None = None) -> None:
        """`known` are distinct tokens that were there once."""
        first: Counts = np.zeros(0, np.int64) if known is None else known
        self._places = {token: place for place, token in enumerate(first.tolist())}
        self._tokens: Counts = np.concatenate([first, np.zeros(64, np.int64)])
        self._counts = np.concatenate([np.ones(len(first), np.float32), np.zeros(64, np.float32)])

    @property
    def tokens(self) -> Counts:
        """Distinct ids, int64."""
        return self._tokens[: len(self._places)]

    @property
    def counts(self) -> Logits:
        """How often each of `tokens` was there, float32."""
        return self._counts[: len(self._places)]

    def add(self, token: int) -> None:
        place = self._places.setdefault(token, len(self._places))
        if place == len(self._tokens):
            self._tokens = np.concatenate([self._tokens, np.zeros_like(self._tokens)])
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
        self._tokens[place] = token
        self._counts[place] += 1


FLOORS = (2.0**-6, 2.0**-12, 0.0)
"""Weights, relative to the most likely token's, above which the leading tokens are looked for: nearly always
the first leaves some hundred tokens to sort, and the last leaves all of them."""
BLOCK = 256
"""Weights summed at once when a token is drawn from the whole vocabulary."""
SMALLEST_TEMPERATURE = float(np.finfo(np.float32).tiny)
"""Below it float32 cannot divide; the most likely token has all the probability long before."""


Mask: TypeAlias = Callable[[Logits], None]
"""Sets the logits of tokens that may not follow to minus infinity, in place."""


class NotFinite(ArithmeticError):
    """The best logit is NaN or infinite, so there is nothing to draw from."""


class Sampler:
    """One sequence's `Sampling` with what it has to remember: its random numbers and its tokens so far."""

    def __init__(self, sampling: Sampling, prompt: TokenIds, vocabulary: int) -> None:
        self._sampling = sampling
        self._top_k = min(sampling.top_k or vocabulary, vocabulary)
        self._greedy = sampling.temperature < SMALLEST_TEMPERATURE or sampling.top_p <= 0 or self._top_k == 1
        self._penalties = Penalties(sampling, prompt, vocabulary)
        self._random = None if self._greedy else random_numbers(sampling.seed)

    def draw(self, logits: Logits, mask: Mask | None = None) -> int:
        """The next token, from [vocabulary] logits, which are overwritten.

        `mask` takes out what may not follow, after bias and penalties. Raises `NotFinite`.
        """
        if mask is not None:
            best_of(logits)  # a mask could hide what is not a number
        self._penalties.apply(logits)
        if mask is not None:
            mask(logits)
        best = best_of(logits)
        token = best if self._random is None else self._pick(logits, best, self._random)
        self._penalties.count(token)
        return token

    def count(self, token: int) -> None:
        """Takes note of a token that nobody drew."""
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


def best_of(logits: Logits) -> int:
    """The most likely token. Raises `NotFinite` where one of the logits is NaN or infinitely likely."""
    best = int(logits.argmax())
    if not np.isfinite(logits[best]):
        raise NotFinite
    return best


def random_numbers(seed: int | None) -> np.random.Generator:
    """The numbers of a signed 64 bit seed, or fresh ones."""
    return np.random.Generator(np.random.PCG64(None if seed is None else seed % 2**64))


def relative_weights(logits: Logits, best: int, temperature: float) -> Logits:
    """Probabilities over that of the most likely token, in the logits' own memory."""
    with np.errstate(over="ignore"):  # to minus infinity, whose weight is 0
        np.subtract(logits, logits[best], out=logits)
        np.divide(logits, np.float32(temperature), out=logits)
    return np.exp(logits, out=logits)


def leading(weights: Logits, top_k: int, top_p: float) -> Counts:
    """The most likely tokens, by id: `top_k` of them, and of those the fewest that reach `top_p`.

    Of equal weights the smaller ids are taken.
    """
    limited = top_k < weights.size
    total = float(weights.sum())
    for floor in FLOORS:
        tokens: Counts = np.flatnonzero(weights >= floor)
        if tokens.size >= top_k if limited else weights[tokens].sum() >= top_p * total:
            break
    found = weights[tokens]
    best = np.partition(found, -top_k)[-top_k:] if limited else found
    # Values alone sort several times faster than indexes by value.
    ranked = np.sort(best)[::-1]
    if top_p < 1:
        reached = np.cumsum(ranked, dtype=np.float64)
        goal = top_p * (reached[-1] if limited else total)
        ranked = ranked[: np.searchsorted(reached, goal) + 1]
    kept = found >= ranked[-1]
    surplus = np.count_nonzero(kept) - ranked.size
    if surplus:
        kept[np.flatnonzero(found == ranked[-1])[-surplus:]] = False
    chosen: Counts = tokens[kept]
    return chosen


def invert(cumulative: NDArray[np.float64], uniform: float) -> int:
    """The index whose share of the cumulative weights holds `uniform` of [0, 1); never one without weight."""
    total = cumulative[-1]
    index = np.searchsorted(cumulative, uniform * total, side="right")
    return int(min(index, np.searchsorted(cumulative, total, side="left")))


def invert_blockwise(weights: Logits, uniform: float) -> int:
    """`invert` of all weights: sums of blocks first, then inside the one block that was hit."""
    edges = np.arange(0, weights.size, BLOCK)
    cumulative = np.cumsum(np.add.reduceat(weights, edges), dtype=np.float64)
    block = invert(cumulative, uniform)
    before = cumulative[block - 1] if block else 0.0
    share = (uniform * cumulative[-1] - before) / (cumulative[block] - before)
    inside = weights[edges[block] : edges[block] + BLOCK]
    return int(edges[block]) + invert(np.cumsum(inside, dtype=np.float64), float(share))
