"""Runs of the decoder that may fail: a failure is logged here, and is None to whoever asked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Sequence as Several
from typing import TypeAlias, TypeVar

import numpy as np

from inference.contracts import Event, TokenIds
from inference.engine.interfaces import Decoder, Logits
from inference.engine.kv_cache import KVCache
from inference.engine.prefill import BUSY_CHUNK, chunk_length, run_length
from inference.engine.prefix_cache import PrefixCache
from inference.engine.sampling import NotFinite
from inference.engine.sequence import Sequence
from inference.errors import GenerationFailed

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Runs:
    """What is run for one row, or for several that begin."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def prefill(self, row: int, tokens: TokenIds, past: int) -> Logits | None:
        """The logits [vocabulary] after tokens of one row."""
        return self._attempt(lambda: self._decoder.prefill(row, tokens, past), len(tokens))

    def step(self, row: int, sequence: Sequence) -> Logits | None:
        """A decode step for one row, so that only the row at fault fails; the logits are the caller's own."""
        logits = self.prefill(row, sequence.pending[:1], sequence.past)
        return None if logits is None else logits.copy()

    def prompt(self, row: int, sequence: Sequence, count: int) -> Logits | None:
        """The logits [vocabulary] after the script's next tokens, which are noted to be in the KV cache."""
        tokens, past = sequence.unread[:count], sequence.prefilled
        sequence.prefilled += count
        if not sequence.request.prompt_logprobs:
            return self.prefill(row, tokens, past)
        logits = self._attempt(lambda: self._decoder.score(row, tokens, past), count)
        if logits is None:
            return None
        sequence.tell_prompt(logits, past)
        last: Logits = logits[-1]
        return last

    def prompts(self, row: int, sequences: Several[Sequence]) -> list[Logits | None]:
        """The same after whole scripts in rows `row` and on; where that fails, after each alone."""
        scripts = [sequence.script for sequence in sequences]
        logits = self._attempt(lambda: self._decoder.prefill_together(row, scripts), sum(map(len, scripts)))
        if logits is None:
            return [self._copied(row + place, one) for place, one in enumerate(sequences)]
        for sequence in sequences:
            sequence.prefilled = len(sequence.script)
        return list(logits)

    def _copied(self, row: int, sequence: Sequence) -> Logits | None:
        logits = self.prompt(row, sequence, len(sequence.script))
        return None if logits is None else logits.copy()

    def _attempt(self, run: Callable[[], Result], tokens: int) -> Result | None:
        try:
            return run()
        except Exception:
            log.exception("A run of %d tokens failed", tokens)
            return None


Outcome: TypeAlias = tuple[Sequence, Event | GenerationFailed]
"""Something a sequence's consumer must hear; a `Finish` or an error is the last."""


class Batch:
    """Sequences in the rows of a KV cache. Used by one thread."""

    def __init__(self, decoder: Decoder, cache: KVCache, prefixes: PrefixCache | None = None) -> None:
        self._decoder = decoder
        self._cache = cache
        self._prefixes = prefixes
        self._runs = Runs(decoder)
        self._decoding: list[Sequence] = []
        self._entering: list[Sequence] = []
        self._entering_row = 0
        self._tokens = np.zeros(cache.rows, np.int64)
        self._lengths = np.zeros(cache.rows, np.int64)
        self._spent = 0
        """Forced tokens run since the last step of the decoding rows."""
        self._jumped = -1
        """The row whose forced tokens were run last."""

    @property
    def idle(self) -> bool:
        return not self._decoding and not self._entering

    @property
    def room(self) -> int:
        """How many sequences may enter now."""
        return 0 if self._entering else self._cache.rows - len(self._decoding)

    def enter(self, *sequences: Sequence) -> None:
        """Gives sequences the first free rows; needs as much `room`, and `chunks.together` for several."""
        self._entering = list(sequences)
        self._entering_row = len(self._decoding)
        (first, *others) = sequences
        if self._prefixes is not None and not others and not first.request.prompt_logprobs:
            first.restore(self._prefixes.restore(first.script, self._cache, self._entering_row))

    def drop_cancelled(self) -> None:
        """Frees the rows of sequences whose consumers have gone."""
        if len(self._entering) == 1 and self._entering[0].cancelled:
            self._entering = []
        self._leave([row for row, sequence in enumerate(self._decoding) if sequence.cancelled])

    def jump(self) -> list[Outcome]:
        """Runs what grammars force, in rows where it is several tokens, up to a chunk's worth."""
        self._spent = 0
        outcomes: list[Outcome] = []
        for row in self._jumping():
            sequence = self._decoding[row]
            tokens = sequence.pending[: chunk_length(len(sequence.pending), BUSY_CHUNK)]
            if self._spent and self._spent + len(tokens) > BUSY_CHUNK:
                break
            self._spent, self._jumped = self._spent + len(tokens), row
            logits = self._runs.prefill(row, tokens, sequence.past)
            if logits is not None and len(tokens) < len(sequence.pending):
                sequence.pending = sequence.pending[len(tokens) :]
            else:
                outcomes += self._advance(sequence, row, logits)
        self._leave_finished()
        return outcomes

    def prefill(self) -> list[Outcome]:
        """Runs the next chunk of the entering prompt, or the short prompts that enter together."""
        if not self._entering:
            return []
        if len(self._entering) > 1:
            return self._begin(self._runs.prompts(self._entering_row, self._entering))
        (sequence,) = self._entering
        count = run_length(len(sequence.unread), self._decoder, busy=bool(self._decoding), spent=self._spent)
        logits = self._runs.prompt(self._entering_row, sequence, count)
        return [] if logits is not None and sequence.unread else self._begin([logits])

    def decode(self) -> list[Outcome]:
        """Runs the next token of every decoding row, and draws what follows where none is forced."""
        if not any(len(sequence.pending) == 1 for sequence in self._decoding):
            return []
        outcomes: list[Outcome] = []
        for row, (sequence, logits) in enumerate(zip(self._decoding, self._next_logits(), strict=True)):
            # A row that waits for its chunk was run along; the chunk writes over what that left behind.
            if len(sequence.pending) == 1:
                outcomes += self._advance(sequence, row, logits)
        self._leave_finished()
        return outcomes

    def _jumping(self) -> list[int]:
        """The rows with several tokens to run, in turn, so that none waits for the others for ever."""
        rows = [row for row, sequence in enumerate(self._decoding) if len(sequence.pending) > 1]
        return sorted(rows, key=lambda row: (row <= self._jumped, row))

    def _begin(self, results: Several[Logits | None]) -> list[Outcome]:
        """The scripts are run: their sequences join the decoding rows."""
        outcomes: list[Outcome] = []
        entered, self._entering = self._entering, []
        for row, (sequence, logits) in enumerate(zip(entered, results, strict=True), self._entering_row):
            outcomes += self._advance(sequence, row, logits, begin=True)
            if self._prefixes is not None and not isinstance(outcomes[-1][1], GenerationFailed):
                self._prefixes.keep(sequence.script, self._cache, row)
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
        return [self._runs.step(row, sequence) for row, sequence in enumerate(self._decoding)]

    def _advance(
        self, sequence: Sequence, row: int, logits: Logits | None, *, begin: bool = False
    ) -> list[Outcome]:
        if logits is None:
            return [self._fail(sequence, row, "The model failed while it computed the next token.")]
        try:
            events = sequence.begin(logits) if begin else sequence.take(logits)
        except NotFinite:
            return [self._fail(sequence, row, "The model computed logits that are not finite numbers.")]
        except ValueError as error:  # a grammar whose limits were reached on the way
            return [self._fail(sequence, row, f"The answer cannot go on in its grammar: {error}")]
        return [(sequence, event) for event in events]

    def _fail(self, sequence: Sequence, row: int, message: str) -> Outcome:
        sequence.finished = True
        self._cache.clear(row, max(sequence.length, len(sequence.script)))
        return sequence, GenerationFailed(message)

    def _join(self, sequence: Sequence, row: int) -> None:
        place = len(self._decoding)
        if row != place:
            self._cache.move(row, place, sequence.length)
        self._decoding.append(sequence)

    def _leave_finished(self) -> None:
        self._leave([row for row, sequence in enumerate(self._decoding) if sequence.finished])

    def _leave(self, rows: list[int]) -> None:
        """Takes rows out, last one first; the last row's sequence moves into the gap."""
        for row in reversed(rows):
            last = self._decoding.pop()
            if row < len(self._decoding):
                self._cache.move(len(self._decoding), row, last.length)
                self._decoding[row] = last
