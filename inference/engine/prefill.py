"""The sizes of prefill runs: how prompts are cut into chunks, and which of them share a run."""

from __future__ import annotations

from collections.abc import Iterable

from inference.engine.interfaces import Decoder
from inference.engine.sequence import Sequence

IDLE_CHUNK = 256
"""Prompt tokens of a run while no other sequence waits for its next token."""
BUSY_CHUNK = 64
"""Tokens of a run between two decode steps: larger ones gain little speed and lengthen every gap."""
MIN_CHUNK = 16
"""Prompt tokens that run between two decode steps even where forced tokens used up the chunk."""
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
