"""The batch: sequences in the rows of the KV cache, and the decoder's runs for them."""

from __future__ import annotations

import collections.abc
import logging
from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar

import numpy as np

from inference.contracts import Event, TokenIds
from inference.engine.interfaces import Decoder, Logits
from inference.engine.kv_cache import KVCache, PrefixCache
from inference.engine.sampling import NotFinite
from inference.engine.sequence import Sequence
from inference.errors import GenerationFailed

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Outcome: TypeAlias = tuple[Sequence, Event | GenerationFailed]
"""An event for a sequence's consumer; a `Finish` or an error is the last."""


class DecoderRuns:
    """Runs of a decoder that may fail: a failure is logged and returned as None."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def prefill(self, row: int, tokens: TokenIds, past: int) -> Logits | None:
        """Return the logits [vocabulary] after tokens of one row."""
        return self._attempt(lambda: self._decoder.prefill(row, tokens, past), len(tokens))

    def step(self, row: int, sequence: Sequence) -> Logits | None:
        """Return a copy of the logits [vocabulary] after a row's next token, run on its own."""
        logits = self.prefill(row, sequence.pending[:1], sequence.past)
        return None if logits is None else logits.copy()

    def prompt(self, row: int, sequence: Sequence, count: int) -> Logits | None:
        """Return the logits [vocabulary] after the next `count` tokens to prefill, counted as prefilled."""
        tokens, past = sequence.remaining[:count], sequence.prefilled
        sequence.prefilled += count
        if not sequence.request.prompt_logprobs:
            return self.prefill(row, tokens, past)
        logits = self._attempt(lambda: self._decoder.score(row, tokens, past), count)
        if logits is None:
            return None
        sequence.add_prompt_logprobs(logits, past)
        last: Logits = logits[-1]
        return last

    def prompts(self, row: int, sequences: collections.abc.Sequence[Sequence]) -> list[Logits | None]:
        """Return the logits after whole prompts in rows from `row` on.

        They run together; where that fails, each runs alone.
        """
        prompts = [sequence.prefill_tokens for sequence in sequences]
        tokens = sum(map(len, prompts))
        logits = self._attempt(lambda: self._decoder.prefill_together(row, prompts), tokens)
        if logits is None:
            return [self._whole_prompt(row + index, one) for index, one in enumerate(sequences)]
        for sequence in sequences:
            sequence.prefilled = len(sequence.prefill_tokens)
        return list(logits)

    def _whole_prompt(self, row: int, sequence: Sequence) -> Logits | None:
        logits = self.prompt(row, sequence, len(sequence.prefill_tokens))
        return None if logits is None else logits.copy()

    def _attempt(self, run: Callable[[], Result], tokens: int) -> Result | None:
        try:
            return run()
        except Exception:
            log.exception("A run of %d tokens failed", tokens)
            return None


class Batch:
    """Sequences in the rows of a KV cache. Used by one thread."""

    def __init__(self, decoder: Decoder, cache: KVCache, prefixes: PrefixCache | None = None) -> None:
        self._decoder = decoder
        self._cache = cache
        self._prefixes = prefixes
        self._runs = DecoderRuns(decoder)
        self._decoding: list[Sequence] = []
        self._entering: list[Sequence] = []
        self._entering_row = 0
        self._tokens = np.zeros(cache.rows, np.int64)
        self._lengths = np.zeros(cache.rows, np.int64)
        self._spent = 0
        """Forced tokens that ran since the last step of the decoding rows."""
        self._last_jump = -1
        """The row whose forced tokens ran last."""

    @property
    def idle(self) -> bool:
        """True if no row has a sequence."""
        return not self._decoding and not self._entering

    @property
    def free_rows(self) -> int:
        """The number of sequences that may enter now."""
        return 0 if self._entering else self._cache.rows - len(self._decoding)

    def enter(self, *sequences: Sequence) -> None:
        """Put sequences into the first free rows.

        They are at most `free_rows`, and several only where `prefill.count_together` allows it.
        """
        self._entering = list(sequences)
        self._entering_row = len(self._decoding)
        (first, *others) = sequences
        if self._prefixes is not None and not others and not first.request.prompt_logprobs:
            restored = self._prefixes.restore(first.prefill_tokens, self._cache, self._entering_row)
            first.mark_restored(restored)

    def drop_cancelled(self) -> None:
        """Free the rows of cancelled sequences."""
        if len(self._entering) == 1 and self._entering[0].cancelled:
            self._entering = []
        self._leave([row for row, sequence in enumerate(self._decoding) if sequence.cancelled])

    def jump_forward(self) -> list[Outcome]:
        """Run the tokens that grammars force, in rows with several of them, up to a chunk's worth."""
        self._spent = 0
        outcomes: list[Outcome] = []
        for row in self._rows_to_jump():
            sequence = self._decoding[row]
            tokens = sequence.pending[: chunk_length(len(sequence.pending), BUSY_CHUNK)]
            if self._spent and self._spent + len(tokens) > BUSY_CHUNK:
                break
            self._spent, self._last_jump = self._spent + len(tokens), row
            logits = self._runs.prefill(row, tokens, sequence.past)
            if logits is not None and len(tokens) < len(sequence.pending):
                sequence.pending = sequence.pending[len(tokens) :]
            else:
                outcomes += self._advance(sequence, row, logits)
        self._leave_finished()
        return outcomes

    def prefill(self) -> list[Outcome]:
        """Run the next chunk of the entering prompt, or the short prompts that enter together."""
        if not self._entering:
            return []
        if len(self._entering) > 1:
            return self._start(self._runs.prompts(self._entering_row, self._entering))
        (sequence,) = self._entering
        busy, remaining = bool(self._decoding), len(sequence.remaining)
        count = run_length(remaining, self._decoder, busy=busy, spent=self._spent)
        if sequence.request.prompt_logprobs and not self._decoder.scores:
            count = min(count, STEPS)
        logits = self._runs.prompt(self._entering_row, sequence, count)
        return [] if logits is not None and sequence.remaining else self._start([logits])

    def decode(self) -> list[Outcome]:
        """Run the next token of every decoding row, and sample where no token is forced."""
        if not any(len(sequence.pending) == 1 for sequence in self._decoding):
            return []
        outcomes: list[Outcome] = []
        for row, (sequence, logits) in enumerate(zip(self._decoding, self._next_logits(), strict=True)):
            # A row that waits for its chunk ran along; the chunk overwrites what that left in the cache.
            if len(sequence.pending) == 1:
                outcomes += self._advance(sequence, row, logits)
        self._leave_finished()
        return outcomes

    def _rows_to_jump(self) -> list[int]:
        """Return the rows with several tokens to run, in turn, so that none waits for the others forever."""
        rows = [row for row, sequence in enumerate(self._decoding) if len(sequence.pending) > 1]
        return sorted(rows, key=lambda row: (row <= self._last_jump, row))

    def _start(self, results: collections.abc.Sequence[Logits | None]) -> list[Outcome]:
        """Move prefilled sequences to the decoding rows."""
        outcomes: list[Outcome] = []
        entered, self._entering = self._entering, []
        for row, (sequence, logits) in enumerate(zip(entered, results, strict=True), self._entering_row):
            outcomes += self._advance(sequence, row, logits, start=True)
            if self._prefixes is not None and not isinstance(outcomes[-1][1], GenerationFailed):
                self._prefixes.store(sequence.prefill_tokens, self._cache, row)
            if not sequence.finished:
                self._join(sequence, row)
        return outcomes

    def _next_logits(self) -> list[Logits | None]:
        count = len(self._decoding)
        self._tokens[:count] = [sequence.pending[0] for sequence in self._decoding]
        self._lengths[:count] = [sequence.past + 1 for sequence in self._decoding]
        try:
            return list(self._decoder.decode(self._tokens[:count], self._lengths[:count]))
        except Exception:
            log.exception("A decode step of %d rows failed", count)
        if count == 1:
            return [None]
        # One by one, so that only the row at fault fails.
        return [self._runs.step(row, sequence) for row, sequence in enumerate(self._decoding)]

    def _advance(
        self, sequence: Sequence, row: int, logits: Logits | None, *, start: bool = False
    ) -> list[Outcome]:
        if logits is None:
            return [self._fail(sequence, row, "The model failed while it computed the next token.")]
        try:
            events = sequence.start(logits) if start else sequence.sample(logits)
        except NotFinite:
            return [self._fail(sequence, row, "The model computed logits that are not finite numbers.")]
        except ValueError as error:  # a grammar that reached its limits on the way
            return [self._fail(sequence, row, f"The answer cannot continue in its grammar: {error}")]
        return [(sequence, event) for event in events]

    def _fail(self, sequence: Sequence, row: int, message: str) -> Outcome:
        sequence.finished = True
        self._cache.clear(row, max(sequence.length, len(sequence.prefill_tokens)))
        return sequence, GenerationFailed(message)

    def _join(self, sequence: Sequence, row: int) -> None:
        target = len(self._decoding)
        if row != target:
            self._cache.move(row, target, sequence.length)
        self._decoding.append(sequence)

    def _leave_finished(self) -> None:
        self._leave([row for row, sequence in enumerate(self._decoding) if sequence.finished])

    def _leave(self, rows: list[int]) -> None:
        """Free rows, the last one first; the last row's sequence moves into the gap."""
        for row in reversed(rows):
            last = self._decoding.pop()
            if row < len(self._decoding):
                self._cache.move(len(self._decoding), row, last.length)
                self._decoding[row] = last


IDLE_CHUNK = 256
"""Prompt tokens of a run while no other sequence waits for its next token."""
BUSY_CHUNK = 64
"""Tokens of a run between two decode steps: larger ones gain little speed and lengthen every gap."""
MIN_CHUNK = 16
"""Prompt tokens that run between two decode steps even where forced tokens used up the chunk."""
STEPS = 8
"""Prompt tokens of a run that are scored one at a time, each as slow as a decode step."""
MIN_SHARED_PROMPT = 2
"""Tokens of a prompt that can share a run: a shorter one runs, and is rounded, as a decode step is."""


def chunk_length(remaining: int, limit: int) -> int:
    """Return how many of the remaining tokens to run now, so that a single one is never left over.

    A run of one token takes another path through attention and rounds differently, so a lone last token would
    make the answer depend on how the prompt was cut.
    """
    if remaining <= limit:
        return remaining
    return limit - 1 if remaining == limit + 1 else limit


def run_length(remaining: int, decoder: Decoder, *, busy: bool, spent: int) -> int:
    """Return how many of a prompt's remaining tokens to run now.

    `busy` is True while other sequences decode; `spent` counts the tokens run since their last step.
    """
    if decoder.prefill_alignment > 1:
        return min(remaining, decoder.prefill_alignment)
    return chunk_length(remaining, max(BUSY_CHUNK - spent, MIN_CHUNK) if busy else IDLE_CHUNK)


def count_together(waiting: Iterable[Sequence], free_rows: int, decoder: Decoder) -> int:
    """Return how many of the waiting sequences, the first ones, may enter in one run: at least one.

    Several only where all of them with their padding are one chunk: more would keep the first one waiting.
    """
    count, longest = 0, 0
    for sequence in waiting:
        longest = max(longest, len(sequence.prefill_tokens))
        if count and (count + 1) * longest > BUSY_CHUNK:
            break
        if count == free_rows or not _can_share_run(sequence, decoder):
            break
        count += 1
    return max(count, 1)


def _can_share_run(sequence: Sequence, decoder: Decoder) -> bool:
    return (
        decoder.scores
        and decoder.prefill_alignment == 1
        and len(sequence.prefill_tokens) >= MIN_SHARED_PROMPT
        and not sequence.request.prompt_logprobs
    )
