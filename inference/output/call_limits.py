"""Limits on the calls of one answer: a number of them, and an end where a call is repeated.

A model that must call and has called all it wants to has no other way to go on than to call again, and small
ones do so until their tokens are used up. A call that is identical to an earlier one of the answer, white
space aside, is left out, and the answer is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from inference.contracts import Event, Text, ToolCallArguments, ToolCallStart
from inference.tool_formats import CallReader
from inference.tool_formats.json_scanner import JsonNesting


@dataclass(frozen=True, slots=True)
class CallLimits:
    """The calls that an answer may have."""

    most: int | None = None
    """The number of calls with which the answer is over; None for any number."""
    distinct: bool = False
    """True if a repeated call ends the answer."""

    @property
    def none(self) -> bool:
        """True if an answer is never over before the model says so."""
        return self.most is None and not self.distinct


@dataclass(slots=True)
class _Call:
    """The call that is read: its name, and its arguments without white space between their parts."""

    name: str
    _parts: list[str] = field(default_factory=list)
    _nesting: JsonNesting = field(default_factory=JsonNesting)

    @property
    def compact(self) -> str:
        self._parts = ["".join(self._parts)]
        return self._parts[0]

    def add(self, piece: str) -> None:
        for character in piece:
            if self._nesting.quoted or not character.isspace():
                self._parts.append(character)
            self._nesting.push(character)


class LimitedCallReader:
    """A reader that ends an answer by its limits. A call is held back while it may be a repetition."""

    def __init__(self, reader: CallReader, limits: CallLimits) -> None:
        self.over = False
        """True if the answer is over; nothing that follows is part of it."""
        self._reader, self._limits = reader, limits
        self._earlier: list[_Call] = []
        self._current: _Call | None = None
        self._started = 0
        self._held: list[Event] = []
        self._held_characters = 0
        """The characters pushed since just before the call that is held back."""

    @property
    def pending(self) -> int:
        return max(self._held_characters, self._reader.pending)

    @property
    def completed_calls(self) -> int:
        return self._reader.completed_calls

    def push(self, text: str) -> Sequence[Event]:
        before = self._held_characters or self._reader.pending
        events = self._limited(self._reader.push(text))
        self._held_characters = before + len(text) if self._held else 0
        complete = self._reader.completed_calls
        self.over = self.over or (self._limits.most is not None and complete >= self._limits.most)
        return events

    def flush(self, *, cut: bool = False) -> Sequence[Event]:
        events = self._limited(self._reader.flush(cut=cut))
        self._held_characters = 0
        return [*events, *self._release()]

    def _limited(self, events: Sequence[Event]) -> list[Event]:
        """Return the events that are certain, up to the end of the answer."""
        certain: list[Event] = []
        for event in events:
            if self._ends_with(event):
                self.over = True
            if self.over:
                break
            certain += self._next(event)
        return certain

    def _ends_with(self, event: Event) -> bool:
        """Return True if the answer was over before the event."""
        full = self._limits.most is not None and self._started >= self._limits.most
        return full and not isinstance(event, ToolCallArguments)

    def _next(self, event: Event) -> list[Event]:
        match event:
            case ToolCallStart():
                return self._start(event)
            case ToolCallArguments() if self._limits.distinct and self._current is not None:
                self._current.add(event.arguments)
                return self._go_on(event) if self._held else [event]
            case Text(""):
                return [event]
        return [*self._release(), event]

    def _start(self, event: ToolCallStart) -> list[Event]:
        released = self._release()
        if self._current is not None:
            self._earlier.append(self._current)
        self._current = _Call(event.name)
        self._started += 1
        if not self._limits.distinct or not self._may_repeat():
            return [*released, event]
        self._held = [event]
        return released

    def _go_on(self, event: ToolCallArguments) -> list[Event]:
        """Take more of the call that is held back; return all of it once it differs from every other."""
        self._held.append(event)
        if self._repeats():
            self.over, self._held = True, []
            return []
        return [] if self._may_repeat() else self._release()

    def _may_repeat(self) -> bool:
        current = self._current
        return current is not None and any(
            call.name == current.name and call.compact.startswith(current.compact) for call in self._earlier
        )

    def _repeats(self) -> bool:
        current = self._current
        return current is not None and any(
            call.name == current.name and call.compact == current.compact for call in self._earlier
        )

    def _release(self) -> list[Event]:
        released, self._held = self._held, []
        return released
