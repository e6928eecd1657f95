"""Log probabilities on their way from tokens to the text they are shown with."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from inference.contracts import Event, PositionLogprobs, ScoredToken, Text, TokenLogprob

Spell: TypeAlias = Callable[[int], bytes]
"""The bytes a token id stands for in the middle of a text."""


class LogprobConverter:
    """Makes of each token and its log probabilities what a reader is told, and of text and those a `Text`."""

    def __init__(self, spell: Spell, offset: int = 0) -> None:
        """`offset` is how many characters the choice's text has before the first token."""
        self._spell = spell
        self._offset = offset
        self._waiting: list[ScoredToken] = []

    def add(self, token: int, logprobs: PositionLogprobs | None) -> None:
        """The next token, before its text; None for the first of a prompt, before which there is nothing."""
        top = () if logprobs is None else logprobs.top
        self._waiting.append(
            ScoredToken(
                self._alternative(token, None if logprobs is None else logprobs.chosen),
                tuple(self._alternative(other, value) for other, value in top),
                self._offset,
            )
        )

    def text(self, piece: str) -> Text:
        """The text that was completed, with the tokens since the last."""
        self._offset += len(piece)
        scores, self._waiting = tuple(self._waiting), []
        return Text(piece, scores)

    def _alternative(self, token: int, logprob: float | None) -> TokenLogprob:
        data = self._spell(token)
        return TokenLogprob(data.decode("utf-8", "replace"), data, logprob)


class LogprobLedger:
    """Keeps scores back until their text is shown."""

    def __init__(self) -> None:
        self._begin: int | None = None
        self._shown = 0
        self._waiting: deque[ScoredToken] = deque()

    def add(self, text: Text) -> None:
        """Takes note of the scores that came with a text."""
        if text.scores and self._begin is None:
            self._begin = text.scores[0].offset
        self._waiting.extend(text.scores)

    def show(self, text: str) -> Text:
        """The text with the scores of all tokens that begin in what is shown by now."""
        self._shown += len(text)
        if not self._waiting:
            return Text(text)
        assert self._begin is not None
        scores = []
        while self._waiting and self._waiting[0].offset - self._begin < self._shown:
            scores.append(self._waiting.popleft())
        return Text(text, tuple(scores))

    def rest(self) -> tuple[ScoredToken, ...]:
        """The scores of tokens that no text came from, at the end."""
        scores = tuple(self._waiting)
        self._waiting.clear()
        return scores


class LogprobBuffer:
    """Those of a text that a stage takes apart. What the stage holds back holds its scores back."""

    def __init__(self) -> None:
        self._taken = 0
        self._waiting: deque[tuple[int, tuple[ScoredToken, ...]]] = deque()
        """Each with the place in the text where what it came with ends."""

    def push(self, piece: Text) -> None:
        """The stage takes a piece of the text."""
        self._taken += len(piece.text)
        if piece.scores:
            self._waiting.append((self._taken, piece.scores))

    def attached(self, parts: Sequence[Event], held: int) -> list[Event]:
        """What the stage gives, with the scores of all but the last `held` characters at its end."""
        due: tuple[ScoredToken, ...] = ()
        while self._waiting and self._waiting[0][0] <= self._taken - held:
            due += self._waiting.popleft()[1]
        if not due:
            return list(parts)
        if parts and isinstance(last := parts[-1], Text):
            return [*parts[:-1], replace(last, scores=due)]
        return [*parts, Text("", due)]
