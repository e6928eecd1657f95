"""Runs of the decoder that may fail: a failure is logged here, and is None to whoever asked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Sequence as Several
from typing import TypeVar

from inference.contracts import TokenIds
from inference.engine.interfaces import Decoder, Logits
from inference.engine.sequence import Sequence

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
