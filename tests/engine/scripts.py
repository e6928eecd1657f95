"""A grammar without a library: answers that are one of a few given sequences of tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inference.contracts import Constraint, Grammar
from inference.engine.interfaces import Logits

CONSTRAINT = Constraint(Grammar.LARK, "")


class Scripted:
    """An `engine.matcher.Matcher`: the answer is one of these, and ends with it."""

    def __init__(self, *answers: Sequence[int]) -> None:
        self._left = [list(answer) for answer in answers]

    @property
    def is_terminated(self) -> bool:
        return not any(self._left)

    def mask(self, logits: Logits) -> None:
        allowed = [answer[0] for answer in self._left if answer]
        kept = logits[allowed].copy()
        logits[:] = -np.inf
        logits[allowed] = kept

    def advance(self, token: int) -> None:
        self._left = [answer[1:] for answer in self._left if answer[:1] == [token]]
        assert self._left, f"{token} may not follow"

    def forced(self) -> list[int]:
        common: list[int] = []
        for tokens in zip(*self._left, strict=False):
            if len(set(tokens)) > 1:
                break
            common.append(tokens[0])
        return common


class ScriptedAll:
    """`engine.matcher.Matchers` that give every answer the same choice."""

    def __init__(self, *answers: Sequence[int]) -> None:
        self._answers = answers

    def matcher(self, constraint: Constraint) -> Scripted:
        assert constraint == CONSTRAINT
        return Scripted(*self._answers)
