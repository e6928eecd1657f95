"""Log probabilities of tokens, kept together with the text that the tokens become."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from inference.contracts import Event, PositionLogprobs, ScoredToken, Text, TokenLogprob

TokenBytes: TypeAlias = Callable[[int], bytes]
"""Looks up the bytes of a token id in the middle of a text."""


class LogprobConverter:
    """A converter of token ids and their log probabilities to `ScoredToken`s with text and offset."""

    def __init__(self, token_bytes: TokenBytes, offset: int = 0) -> None:
        """Start at `offset`, the number of characters of the choice's text before the first token."""
        self._token_bytes = token_bytes
        self._offset = offset
        self._pending: list[ScoredToken] = []

    def add(self, token_id: int, logprobs: PositionLogprobs | None) -> None:
        """Take the next token, before its text; None for the first token of a prompt, which has none."""
        top = () if logprobs is None else logprobs.top
        self._pending.append(
            ScoredToken(
                self._convert(token_id, None if logprobs is None else logprobs.chosen),
                tuple(self._convert(alternative, value) for alternative, value in top),
                self._offset,
            )
        )

    def attach(self, piece: str) -> Text:
        """Return the piece of text that is complete now, with the tokens added since the last one."""
        self._offset += len(piece)
        scores, self._pending = tuple(self._pending), []
        return Text(piece, scores)

    def _convert(self, token_id: int, logprob: float | None) -> TokenLogprob:
        data = self._token_bytes(token_id)
        return TokenLogprob(data.decode("utf-8", "replace"), data, logprob)


class TokenLogprobBuffer:
    """A buffer that releases the scores of each token with the text in which the token starts."""

    def __init__(self) -> None:
        self._start: int | None = None
        """The offset of the first token."""
        self._released = 0
        """The number of characters released."""
        self._pending: deque[ScoredToken] = deque()

    def add(self, text: Text) -> None:
        """Take the scores of a text."""
        if text.scores and self._start is None:
            self._start = text.scores[0].offset
        self._pending.extend(text.scores)

    def release(self, text: str) -> Text:
        """Return the text with the scores of all tokens that start in the text released so far."""
        self._released += len(text)
        if not self._pending:
            return Text(text)
        assert self._start is not None
        scores = []
        while self._pending and self._pending[0].offset - self._start < self._released:
            scores.append(self._pending.popleft())
        return Text(text, tuple(scores))

    def flush(self) -> tuple[ScoredToken, ...]:
        """Return the scores of tokens at the end that no text came from."""
        scores = tuple(self._pending)
        self._pending.clear()
        return scores


class PieceLogprobBuffer:
    """A buffer that releases the scores of each piece of text once a stage has nothing of it pending."""

    def __init__(self) -> None:
        self._pushed = 0
        """The number of characters pushed."""
        self._pending: deque[tuple[int, tuple[ScoredToken, ...]]] = deque()
        """The scores of each piece, with the position in the text where the piece ends."""

    def push(self, piece: Text) -> None:
        """Take the scores of a piece that the stage reads."""
        self._pushed += len(piece.text)
        if piece.scores:
            self._pending.append((self._pushed, piece.scores))

    def attach(self, events: Sequence[Event], pending: int) -> list[Event]:
        """Return the stage's events, the last text with the scores of all but the `pending` characters."""
        due: tuple[ScoredToken, ...] = ()
        while self._pending and self._pending[0][0] <= self._pushed - pending:
            due += self._pending.popleft()[1]
        if not due:
            return list(events)
        if events and isinstance(last := events[-1], Text):
            return [*events[:-1], replace(last, scores=due)]
        return [*events, Text("", due)]
