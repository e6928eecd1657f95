"""A decoder without a model: its cache holds the token ids themselves.

Its logits are a function of all that a row holds, so a wrong row, position or length changes every token that
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
"""Seconds after which a test that waits for the engine gives up."""


def history_logits(tokens: TokenIds) -> Logits:
    """[512] logits, random but fixed for each sequence of tokens."""
    seed = zlib.crc32(np.asarray(tokens, np.int32).tobytes())
    return np.random.default_rng(seed).standard_normal(VOCABULARY, np.float32) * np.float32(3)


def continuation(prompt: TokenIds, count: int) -> list[int]:
    """What the decoder answers to a prompt at temperature 0."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(history_logits(tokens).argmax()))
    return tokens[len(prompt) :]


def small_cache(rows: int, length: int) -> KVCache:
    return KVCache.allocate(LAYOUT, rows, length)


@dataclass
class HistoryDecoder:
    """IntArray its calls. The token `poison` gives NaN from then on; those in `bombs` raise when run."""

    cache: KVCache
    poison: int = -1
    bombs: frozenset[int] = frozenset()
    batch_fails: bool = False
    vocabulary: int = VOCABULARY
    prefills: list[int] = field(default_factory=list)
    decodes: list[int] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    closed: int = 0
    together: list[int] = field(default_factory=list)
    prefill_alignment: int = 1
    scores: bool = True
    buffer: Logits = field(default_factory=lambda: np.zeros(VOCABULARY, np.float32))
    """What every prefill returns, as a decoder may."""

    def prefill(self, row: int, tokens: TokenIds, past: int) -> Logits:
        self.prefills.append(len(tokens))
        self.order.append("prefill")
        self._explode(tokens)
        self.buffer[:] = self._run(row, tokens, past)
        return self.buffer

    def score(self, row: int, tokens: TokenIds, past: int) -> Logits:
        self.prefills.append(len(tokens))
        self.order.append("prefill")
        self._explode(tokens)
        return np.stack([self._run(row, [token], past + place) for place, token in enumerate(tokens)])

    def prefill_together(self, row: int, prompts: Sequence[TokenIds]) -> Logits:
        self.together.append(len(prompts))
        self.order.append("together")
        for prompt in prompts:
            self._explode(prompt)
        return np.stack([self._run(row + place, prompt, 0) for place, prompt in enumerate(prompts)])

    def decode(self, tokens: IntArray, lengths: IntArray) -> Logits:
        self.decodes.append(len(tokens))
        self.order.append("decode")
        self._explode(tokens.tolist())
        if self.batch_fails:
            raise RuntimeError("a batch fails")
        rows = [self._run(row, [int(token)], int(lengths[row]) - 1) for row, token in enumerate(tokens)]
        return np.stack(rows)

    def close(self) -> None:
        self.closed += 1

    def _explode(self, tokens: TokenIds) -> None:
        if self.bombs.intersection(tokens):
            raise RuntimeError("a bomb among the tokens")

    def _run(self, row: int, tokens: TokenIds, past: int) -> Logits:
        kept = self.cache.arrays[0][row, 0, :, 0]
        kept[past : past + len(tokens)] = [np.nan if token == self.poison else token for token in tokens]
        history = kept[: past + len(tokens)]
        # As attention does: what lies beyond the length is multiplied by zero, not left out.
        spoilt = history.sum() + (kept * 0).sum()
        return (
            history_logits(history.astype(int).tolist())
            if np.isfinite(spoilt)
            else np.full(VOCABULARY, np.nan, "f")
        )


class GatedDecoder(HistoryDecoder):
    """Every call waits for a permit, so that a test says how far the engine may go."""

    def __init__(self, cache: KVCache) -> None:
        super().__init__(cache)
        self._permits = threading.Semaphore(0)
        self._open = False

    def permit(self, calls: int) -> None:
        self._permits.release(calls)

    def open(self) -> None:
        """Lets every call pass from now on."""
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
            assert self._permits.acquire(timeout=PATIENCE), "the test never let the engine go on"
