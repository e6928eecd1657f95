"""What the engine asks of whoever runs the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inference.contracts import Constraint, TokenIds

Logits: TypeAlias = NDArray[np.float32]
Counts: TypeAlias = NDArray[np.int64]


class Decoder(Protocol):
    """A causal language model over the rows of the `KVCache` it was built on.

    Called from one thread at a time. A row's result must not depend on the other rows of a call. Any
    exception means that the call failed: what the cache then holds at the positions it was to write is of no
    use, and all other positions are as they were.
    """

    @property
    def vocabulary(self) -> int:
        """How many token ids there are to choose from."""
        ...

    @property
    def grid(self) -> int:
        """Prefill runs must begin at multiples of so many tokens for a result that does not depend on how a
        prompt was cut; 1 where they may begin anywhere as long as no run has one token alone."""
        ...

    @property
    def scores(self) -> bool:
        """Whether `score` and `prefill_together` can be called: the graph tells logits of any position."""
        ...

    def score(self, row: int, tokens: TokenIds, past: int) -> Logits:
        """As `prefill`, with the logits after every token: [tokens, vocabulary]."""
        ...

    def prefill_together(self, row: int, prompts: Sequence[TokenIds]) -> Logits:
        """Runs whole prompts in rows `row` and on, one each, from position 0.

        Gives the logits after each one's last token, [prompts, vocabulary], equal to those of `prefill`.
        """
        ...

    def prefill(self, row: int, tokens: TokenIds, past: int) -> Logits:
        """Runs tokens at positions `past` and on of one row.

        Gives the logits after the last one, [vocabulary]; they may be overwritten by the caller, and are by
        the next call.
        """
        ...

    def decode(self, tokens: Counts, lengths: Counts) -> Logits:
        """Runs one token on each of the rows 0 to n - 1.

        `tokens` and `lengths`, [n]: row r's token stands at position `lengths[r]` - 1. Gives [n, vocabulary],
        with the same freedom and the same end as those of `prefill`.
        """
        ...

    def close(self) -> None: ...


class Matcher(Protocol):
    """Where one answer stands in its grammar. Used by one thread at a time."""

    @property
    def over(self) -> bool:
        """Whether only a stop token can follow."""
        ...

    def mask(self, logits: Logits) -> None:
        """Sets the logits, float32 [vocabulary], of what may not follow to minus infinity, in place.

        Stop tokens may follow where the grammar is fulfilled.
        """
        ...

    def advance(self, token: int) -> None:
        """Takes a token that `mask` allowed."""
        ...

    def forced(self) -> list[int]:
        """The tokens that must follow whatever the model says; none where it can choose. No stop tokens."""
        ...


class MatcherFactory(Protocol):
    """The grammars of one model's vocabulary; may be asked from any thread."""

    def matcher(self, constraint: Constraint) -> Matcher:
        """At the begin of an answer. Raises `ValueError` for what is no grammar."""
        ...
