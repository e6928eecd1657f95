"""The changes to single logits: bias, and penalties for tokens that were already there."""

from __future__ import annotations

from collections import Counter

import numpy as np

from inference.contracts import Sampling, TokenIds
from inference.engine.decoder import Counts, Logits


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
        self._repeats = sampling.repetition_penalty != 1
        self._counts_answer = bool(sampling.frequency_penalty or sampling.presence_penalty)
        self._answer: Counter[int] = Counter()
        self._seen: Counts = np.zeros(0, np.int64)
        if self._repeats:
            known: Counts = np.unique(np.asarray(prompt, np.int64))
            self._seen = known[known < vocabulary]
        self._seen_ids = set(self._seen.tolist())

    def apply(self, logits: Logits) -> None:
        """Changes [vocabulary] logits in place."""
        if self._biased.size:
            logits[self._biased] += self._bias
        if self._repeats:
            found = logits[self._seen]
            logits[self._seen] = np.where(found > 0, found / self._repetition, found * self._repetition)
        if self._answer:
            tokens = np.fromiter(self._answer.keys(), np.int64, len(self._answer))
            counts = np.fromiter(self._answer.values(), np.float32, len(self._answer))
            logits[tokens] -= counts * self._frequency + self._presence

    def count(self, token: int) -> None:
        """Takes note of a token of the answer."""
        if self._counts_answer:
            self._answer[token] += 1
        if self._repeats and token not in self._seen_ids:
            self._seen_ids.add(token)
            self._seen = np.append(self._seen, token)
