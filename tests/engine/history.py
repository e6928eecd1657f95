"""A decoder without a model: its cache has the token ids themselves.

Its logits are a function of all tokens of a row, so a wrong row, position or length changes every token that
follows.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from inference.contracts import TokenIds
from inference.engine.interfaces import IntArray, Logits
from inference.engine.kv_cache import CacheLayout, KVCache

VOCABULARY = 512
LAYOUT = CacheLayout(((1, 1),), np.dtype(np.float32))
PATIENCE = 30.0
"""Seconds after which a test that waits for the engine fails."""


def history_logits(tokens: TokenIds) -> Logits:
    """Return [512] logits, random but fixed for each sequence of tokens."""
    seed = zlib.crc32(np.asarray(tokens, np.int32).tobytes())
    return np.random.default_rng(seed).standard_normal(VOCABULARY, np.float32) * np.float32(3)


def continuation(prompt: TokenIds, count: int) -> list[int]:
    """Return the decoder's answer to a prompt at temperature 0."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(history_logits(tokens).argmax()))
    return tokens[len(prompt) :]


def small_cache(rows: int, length: int) -> KVCache:
    return KVCache.allocate(LAYOUT, rows, length)


@dataclass
class HistoryDecoder:
    """A decoder that records its calls.

    The token `poison` makes the logits after it NaN; those in `bombs` raise when they run.
    """

    cache: KVCache
    poison: int = -1
    bombs: frozenset[int] = frozenset()
    batch_fails: bool = False
    vocabulary: int = VOCABULARY
    prefills: list[int] = field(default_factory=list)
    decodes: list[int] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    closed: int = 0
    together: list[int] = field(default_factory=list)
    prefill_alignment: int = 1
    scores: bool = True
    buffer: Logits = field(default_factory=lambda: np.zeros(VOCABULARY, np.float32))
    """The logits that every prefill returns, as a decoder may."""

    def prefill(self, row: int, tokens: TokenIds, past: int) -> Logits:
        self.prefills.append(len(tokens))
        self.calls.append("prefill")
        self._raise_for_bombs(tokens)
        self.buffer[:] = self._run(row, tokens, past)
        return self.buffer

    def score(self, row: int, tokens: TokenIds, past: int) -> Logits:
        self.prefills.append(len(tokens))
        self.calls.append("prefill")
        self._raise_for_bombs(tokens)
        return np.stack([self._run(row, [token], past + index) for index, token in enumerate(tokens)])

    def prefill_together(self, row: int, prompts: Sequence[TokenIds]) -> Logits:
        self.together.append(len(prompts))
        self.calls.append("together")
        for prompt in prompts:
            self._raise_for_bombs(prompt)
        return np.stack([self._run(row + index, prompt, 0) for index, prompt in enumerate(prompts)])

    def decode(self, tokens: IntArray, lengths: IntArray) -> Logits:
        self.decodes.append(len(tokens))
        self.calls.append("decode")
        self._raise_for_bombs(tokens.tolist())
        if self.batch_fails:
            raise RuntimeError("a batch fails")
        rows = [self._run(row, [int(token)], int(lengths[row]) - 1) for row, token in enumerate(tokens)]
        return np.stack(rows)

    def close(self) -> None:
        self.closed += 1

    def _raise_for_bombs(self, tokens: TokenIds) -> None:
        if self.bombs.intersection(tokens):
            raise RuntimeError("a bomb among the tokens")

    def _run(self, row: int, tokens: TokenIds, past: int) -> Logits:
        cached = self.cache.arrays[0][row, 0, :, 0]
        cached[past : past + len(tokens)] = [np.nan if token == self.poison else token for token in tokens]
        history = cached[: past + len(tokens)]
        # As attention does: what lies beyond the length is multiplied by zero, not left out.
        total = history.sum() + (cached * 0).sum()
        return (
            history_logits(history.astype(int).tolist())
            if np.isfinite(total)
            else np.full(VOCABULARY, np.nan, "f")
        )


class GatedDecoder(HistoryDecoder):
    """A decoder whose calls wait for a permit, so that a test decides how far the engine runs."""

    def __init__(self, cache: KVCache) -> None:
        super().__init__(cache)
        self._permits = threading.Semaphore(0)
        self._open = False

    def permit(self, calls: int) -> None:
        self._permits.release(calls)

    def open(self) -> None:
        """Let every call pass from now on."""
        self._open = True
        self._permits.release()

    def prefill(self, row: int, tokens: TokenIds, past: int) -> Logits:
        self._wait()
        return super().prefill(row, tokens, past)

    def decode(self, tokens: IntArray, lengths: IntArray) -> Logits:
        self._wait()
        return super().decode(tokens, lengths)

    def _wait(self) -> None:
        if not self._open:
            assert self._permits.acquire(timeout=PATIENCE), "the test never permitted the call"
