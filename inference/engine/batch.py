"""The running batch: which sequence sits in which row of the KV cache, and one step of all of them.

Rows 0 to n - 1 decode together. One more sequence at a time is being prefilled in a row above them, chunk by
chunk between their steps, because attention with a past takes several tokens of one row or one token of
several rows, never both.
"""

from __future__ import annotations

import logging
from typing import TypeAlias

import numpy as np

from inference.contracts import Event, TokenIds
from inference.engine.decoder import Decoder, Logits
from inference.engine.kv_cache import KVCache
from inference.engine.sampling import NotFinite
from inference.engine.sequence import Sequence
from inference.errors import GenerationFailed

Outcome: TypeAlias = tuple[Sequence, Event | GenerationFailed]
"""Something a sequence's consumer must hear; a `Finish` or an error is the last."""

IDLE_CHUNK = 256
"""Prompt tokens run at once while nobody waits for a next token."""
BUSY_CHUNK = 64
"""Prompt tokens run at once between two decode steps: larger gains little speed and lengthens every gap."""

log = logging.getLogger(__name__)


def chunk_length(remaining: int, limit: int) -> int:
    """How many of the remaining prompt tokens to run now, so that never a single one is left over.

    A run of one token takes another path through attention and rounds differently, so a lone last token would
    make the answer depend on how the prompt was cut.
    """
    if remaining <= limit:
        return remaining
    return limit - 1 if remaining == limit + 1 else limit


class Batch:
    """Sequences in the rows of a KV cache. Used by one thread."""

    def __init__(self, decoder: Decoder, cache: KVCache) -> None:
        self._decoder = decoder
        self._cache = cache
        self._decoding: list[Sequence] = []
        self._entering: Sequence | None = None
        self._entering_row = 0
        self._tokens = np.zeros(cache.rows, np.int64)
        self._lengths = np.zeros(cache.rows, np.int64)

    @property
    def idle(self) -> bool:
        return not self._decoding and self._entering is None

    @property
    def has_room(self) -> bool:
        return self._entering is None and len(self._decoding) < self._cache.rows

    def enter(self, sequence: Sequence) -> None:
        """Gives a sequence the first free row; needs `has_room`."""
        self._entering = sequence
        self._entering_row = len(self._decoding)

    def drop_cancelled(self) -> None:
        """Frees the rows of sequences whose consumers have gone."""
        if self._entering is not None and self._entering.cancelled:
            self._entering = None
        self._leave([row for row, sequence in enumerate(self._decoding) if sequence.cancelled])

    def prefill(self) -> list[Outcome]:
        """Runs the next chunk of the entering sequence's prompt; its last one draws the first token."""
        sequence = self._entering
        if sequence is None:
            return []
        unread = sequence.unread
        count = chunk_length(len(unread), BUSY_CHUNK if self._decoding else IDLE_CHUNK)
        logits = self._try_prefill(self._entering_row, unread[:count], sequence.prefilled)
        sequence.prefilled += count
        if logits is not None and count < len(unread):
            return []
        outcomes = self._advance(sequence, self._entering_row, logits)
        self._entering = None
        if not sequence.finished:
            self._join(sequence)
        return outcomes

    def decode(self) -> list[Outcome]:
        """Runs the last token of every decoding row and draws the next."""
        if not self._decoding:
            return []
        outcomes: list[Outcome] = []
        for row, (sequence, logits) in enumerate(zip(self._decoding, self._next_logits(), strict=True)):
            outcomes += self._advance(sequence, row, logits)
        self._leave([row for row, sequence in enumerate(self._decoding) if sequence.finished])
        return outcomes

    def _next_logits(self) -> list[Logits | None]:
        count = len(self._decoding)
        self._tokens[:count] = [sequence.last for sequence in self._decoding]
        self._lengths[:count] = [sequence.length for sequence in self._decoding]
        try:
            return list(self._decoder.decode(self._tokens[:count], self._lengths[:count]))
        except Exception:
            log.exception("A decode step of %d rows failed", count)
        if count == 1:
            return [None]
        return [self._next_logits_alone(row, sequence) for row, sequence in enumerate(self._decoding)]

    def _next_logits_alone(self, row: int, sequence: Sequence) -> Logits | None:
        """The same step for one row, so that only the row at fault fails."""
        logits = self._try_prefill(row, (sequence.last,), sequence.length - 1)
        return None if logits is None else logits.copy()

    def _try_prefill(self, row: int, tokens: TokenIds, past: int) -> Logits | None:
        try:
            return self._decoder.prefill(row, tokens, past)
        except Exception:
            log.exception("A run of %d tokens after %d failed", len(tokens), past)
            return None

    def _advance(self, sequence: Sequence, row: int, logits: Logits | None) -> list[Outcome]:
        if logits is None:
            return [self._fail(sequence, row, "The model failed while it computed the next token.")]
        try:
            return [(sequence, event) for event in sequence.take(logits)]
        except NotFinite:
            return [self._fail(sequence, row, "The model computed logits that are not finite numbers.")]

    def _fail(self, sequence: Sequence, row: int, message: str) -> Outcome:
        sequence.finished = True
        self._cache.clear(row, sequence.length)
        return sequence, GenerationFailed(message)

    def _join(self, sequence: Sequence) -> None:
        row = len(self._decoding)
        if row != self._entering_row:
            self._cache.move(self._entering_row, row, sequence.length)
        self._decoding.append(sequence)

    def _leave(self, rows: list[int]) -> None:
        """Takes rows out, last one first; the last row's sequence moves into the gap."""
        for row in reversed(rows):
            last = self._decoding.pop()
            if row < len(self._decoding):
                self._cache.move(len(self._decoding), row, last.length)
                self._decoding[row] = last
