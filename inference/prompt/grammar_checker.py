"""The compiler of grammars, as the stages before generation use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from inference.contracts import Constraint

Made = TypeVar("Made")


class GrammarChecker(Protocol):
    """A compiler that knows if constraints can be enforced: `engine.grammar.Grammars`."""

    def check(self, constraint: Constraint) -> None:
        """Raise `ValueError` with the reason if the constraint cannot be enforced."""
        ...

    def refusal(self, constraint: Constraint) -> str | None:
        """Return that reason, or None; the constraint is only a probe, which no answer will have."""
        ...

    def accepts(self, constraint: Constraint, text: str) -> bool:
        """Return True if an answer of the constraint can start with the text."""
        ...

    def remembered(self, key: bytes, make: Callable[[], Made]) -> Made:
        """Return the result that `make` had for the same key before, else its result now."""
        ...
