"""Log probabilities wait until the text they came with is out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from inference.contracts import Event, Scored, Text


class Scores:
    """Those of a text that a stage takes apart. What the stage holds back holds its scores back."""

    def __init__(self) -> None:
        self._taken = 0
        self._waiting: deque[tuple[int, tuple[Scored, ...]]] = deque()
        """Each with the place in the text where what it came with ends."""

    def push(self, piece: Text) -> None:
        """The stage takes a piece of the text."""
        self._taken += len(piece.text)
        if piece.scores:
            self._waiting.append((self._taken, piece.scores))

    def attached(self, parts: Sequence[Event], held: int) -> list[Event]:
        """What the stage gives, with the scores of all but the last `held` characters at its end."""
        due: tuple[Scored, ...] = ()
        while self._waiting and self._waiting[0][0] <= self._taken - held:
            due += self._waiting.popleft()[1]
        if not due:
            return list(parts)
        if parts and isinstance(last := parts[-1], Text):
            return [*parts[:-1], replace(last, scores=due)]
        return [*parts, Text("", due)]
