"""The changes to single logits: bias, and penalties for tokens that were already there."""

from __future__ import annotations

import numpy as np

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
