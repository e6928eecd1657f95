"""The protocols that the engine runs on: a decoder of logits, and matchers of a grammar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inference.contracts import Constraint, TokenIds

Logits: TypeAlias = NDArray[np.float32]
IntArray: TypeAlias = NDArray[np.int64]


class Decoder(Protocol):
    """A causal language model over the rows of the `KVCache` it was built on.

    Called from one thread at a time. A row's result must not depend on the other rows of a call. An exception
    means that the call failed: the cache is undefined at the positions it was to write, and unchanged at all
    others.
    """

    @property
    def vocabulary(self) -> int:
        """The number of token ids to choose from."""
        ...

    @property
    def prefill_alignment(self) -> int:
        """The number of tokens at whose multiples prefill runs start.

        Then the cuts of a prompt change no result. 1 where runs may start anywhere, as long as none has a
        single token.
        """
        ...

    @property
    def scores(self) -> bool:
        """True if one run returns logits of any position: `prefill_together` can be called.

        Without that `score` takes as long as decoding so many tokens.
        """
        ...

    def score(self, row: int, tokens: TokenIds, past: int) -> Logits:
        """Run tokens as `prefill` does, and return the logits after every one: [tokens, vocabulary]."""
        ...

    def prefill_together(self, row: int, prompts: Sequence[TokenIds]) -> Logits:
        """Run whole prompts in rows from `row` on, one each, from position 0.

        Returns the logits after each one's last token, [prompts, vocabulary], equal to those of `prefill`.
        """
        ...

    def prefill(self, row: int, tokens: TokenIds, past: int) -> Logits:
        """Run tokens at the positions of one row from `past` on.

        Returns the logits after the last one, [vocabulary]; the caller may overwrite them, and the next call
        does.
        """
        ...

    def decode(self, tokens: IntArray, lengths: IntArray) -> Logits:
        """Run one token on each of the rows 0 to n - 1.

        `tokens` and `lengths` are [n]: row r's token is at position `lengths[r]` - 1. Returns
        [n, vocabulary], which the caller may overwrite, and the next call does.
        """
        ...

    def close(self) -> None:
        """Release the model's memory and threads."""
        ...


class Matcher(Protocol):
    """The state of one answer in its grammar. Used by one thread at a time."""

    @property
    def is_terminated(self) -> bool:
        """True if only a stop token can follow."""
        ...

    def mask(self, logits: Logits) -> None:
        """Set the logits, float32 [vocabulary], of tokens that may not follow to minus infinity, in place.

        Stop tokens may follow where the grammar is complete.
        """
        ...

    def advance(self, token: int) -> None:
        """Append a token that `mask` allowed."""
        ...

    def forced(self) -> list[int]:
        """Return the tokens that must follow whatever the model predicts, none where it has a choice.

        No stop token is among them.
        """
        ...


class MatcherFactory(Protocol):
    """The grammars of one model's vocabulary. Used from any thread."""

    def matcher(self, constraint: Constraint) -> Matcher:
        """Return a matcher at the start of an answer. Raises `ValueError` for what is not a grammar."""
        ...
