"""How prompts are cut into runs, and which are run together."""

from __future__ import annotations

from collections.abc import Iterable

from inference.engine.interfaces import Decoder
from inference.engine.sequence import Sequence

IDLE_CHUNK = 256
"""Prompt tokens run at once while nobody waits for a next token."""
BUSY_CHUNK = 64
"""Tokens run at once between two decode steps: larger gains little speed and lengthens every gap."""
LEAST_CHUNK = 16
"""Prompt tokens that are run between two decode steps even where forced tokens took their time."""
ALONE = 2
"""A prompt of fewer tokens is run as a decode step is, which rounds differently, and so never with others."""


def chunk_length(remaining: int, limit: int) -> int:
    """How many of the remaining tokens to run now, so that never a single one is left over.

    A run of one token takes another path through attention and rounds differently, so a lone last token would
    make the answer depend on how the prompt was cut.
    """
    if remaining <= limit:
        return remaining
    return limit - 1 if remaining == limit + 1 else limit


def run_length(unread: int, decoder: Decoder, *, busy: bool, spent: int) -> int:
    """How many of a prompt's unread tokens to run now; `spent` is what else was run since the last step."""
    if decoder.grid > 1:
        return min(unread, decoder.grid)
    return chunk_length(unread, max(BUSY_CHUNK - spent, LEAST_CHUNK) if busy else IDLE_CHUNK)


def together(waiting: Iterable[Sequence], room: int, decoder: Decoder) -> int:
    """How many of those who wait, the first of them first, may enter in one run: at least the first.

    Several only where all of them with their padding are one chunk: more would keep the first waiting.
    """
    count, longest = 0, 0
    for sequence in waiting:
        longest = max(longest, len(sequence.script))
        if count == room or (count and (count + 1) * longest > BUSY_CHUNK) or not _mixes(sequence, decoder):
            break
        count += 1
    return max(count, 1)


def _mixes(sequence: Sequence, decoder: Decoder) -> bool:
    return (
        decoder.scores
        and decoder.grid == 1
        and len(sequence.script) >= ALONE
        and not sequence.request.prompt_logprobs
    )
