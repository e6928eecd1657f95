"""A grammar without a library: answers that are one of a few sequences of tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inference.contracts import Constraint, Grammar
from inference.engine.interfaces import Logits

CONSTRAINT = Constraint(Grammar.LARK, "")


class ScriptedMatcher:
    """A `Matcher` of an answer that is one of these, and ends with it."""

    def __init__(self, *answers: Sequence[int]) -> None:
        self._remaining = [list(answer) for answer in answers]

    @property
    def is_terminated(self) -> bool:
        return not any(self._remaining)

    def mask(self, logits: Logits) -> None:
        allowed = [answer[0] for answer in self._remaining if answer]
        kept = logits[allowed].copy()
        logits[:] = -np.inf
        logits[allowed] = kept

    def advance(self, token: int) -> None:
        self._remaining = [answer[1:] for answer in self._remaining if answer[:1] == [token]]
        assert self._remaining, f"{token} may not follow"

    def forced(self) -> list[int]:
        common: list[int] = []
        for tokens in zip(*self._remaining, strict=False):
            if len(set(tokens)) > 1:
                break
            common.append(tokens[0])
        return common


class ScriptedFactory:
    """A `MatcherFactory` that gives every answer the same choice."""

    def __init__(self, *answers: Sequence[int]) -> None:
        self._answers = answers

    def matcher(self, constraint: Constraint) -> ScriptedMatcher:
        assert constraint == CONSTRAINT
        return ScriptedMatcher(*self._answers)
