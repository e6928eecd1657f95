"""What the engine asks of whoever knows a grammar."""

from __future__ import annotations

from typing import Protocol

from inference.contracts import Constraint
from inference.engine.interfaces import Logits


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
