"""A reader of answers that a grammar holds to calls, or to calls or else a form."""

from __future__ import annotations

from collections.abc import Sequence

from inference.contracts import Event, Text
from inference.tool_formats.tool_format import CallReader


class HeldCallReader:
    """A reader that knows from the grammar that an answer is calls, or decides it by the answer's start.

    A form is text from its first character to its last, whatever its strings contain. An answer cut inside a
    call has no text: a mark or a name that is not complete is left out.
    """

    def __init__(self, calls: CallReader, heads: Sequence[str] = ()) -> None:
        """Take the reader of calls, and the texts of which one starts them; none where calls must come."""
        self._calls = calls
        self._heads = tuple(heads)
        self._start = ""
        """The text so far, while it is not decided yet."""
        self._is_call: bool | None = None if heads else True

    @property
    def pending(self) -> int:
        return len(self._start) + self._calls.pending

    @property
    def completed_calls(self) -> int:
        return self._calls.completed_calls

    def push(self, text: str) -> Sequence[Event]:
        if self._is_call is None:
            text = self._decide(text)
        if not text:
            return []
        return self._calls.push(text) if self._is_call else [Text(text)]

    def flush(self, *, cut: bool = False) -> Sequence[Event]:
        if self._is_call is None:
            return [] if cut or not self._start else [Text(self._start)]
        return self._calls.flush(cut=True) if self._is_call else []

    def _decide(self, text: str) -> str:
        """Return the text that is due: all so far once it is decided, else none."""
        self._start += text
        start = self._start.lstrip()
        if any(start.startswith(head) for head in self._heads):
            self._is_call = True
        elif any(head.startswith(start) for head in self._heads):
            return ""
        else:
            self._is_call = False
        due, self._start = self._start, ""
        return due
