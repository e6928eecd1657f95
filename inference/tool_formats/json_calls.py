"""An incremental reader of tool calls that are JSON objects between marks, as in most tool formats.

After an opening mark comes an object, in some formats several. Its kind shows as it is read:

- An object that starts as `{"name": N, "arguments": {`, with N one of the offered tools, is a call. Its
  arguments pass on as they are written, and the call cannot be taken back: should the model stop in the
  middle, or write something that is not JSON, the pieces stand.
- Any other object is read to its end. It is a call if it is JSON, its name is an offered tool, and its
  arguments are an object or absent; they come as one piece, serialized anew.
- Anything else is not a call. It stays text, exactly as written, its mark included.

`parameters` is accepted for `arguments`. A mark inside a string of the arguments is part of them. White space
next to a call is content only between two texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from inference.contracts import Event, Text, ToolCallArguments, ToolCallStart
from inference.tool_formats import json_scanner
from inference.tool_formats.json_scanner import JsonNesting, WhitespaceTrimmer, partial_match
from inference.tool_formats.tool_format import NewId

SPACE = " \t\r\n"
MEMBER = re.compile(r',\s*(?:"|\Z)')
UNMARKED_STARTS = tuple(
    f'{{"{key}":' for key in ("name", "type", "function", "arguments", "parameters", "id")
)
"""Starts, without white space, of an object that can be a call."""
UNMARKED_START_LENGTH = 64
"""Characters, white space included, after which the start of an object without a mark is decided."""


@dataclass(frozen=True, slots=True)
class CallMarks:
    """The text that a tool format writes around its objects."""

    openings: tuple[str, ...]
    closing: str = ""
    lead: str = SPACE
    """Characters that may stand between an opening mark and its first object."""
    tail: str = SPACE + "}"
    """Characters that may stand between the arguments and what follows; models miscount the brace."""
    separators: str = ""
    """Characters that may stand between two objects; empty where a mark has one object."""
    bare: bool = False
    """True if an answer can start with an object that has no mark."""


class JsonCallReader:
    """A state machine over the characters of an answer, as `CallReader` describes it.

    `_state` is the rule for the text at the start of `_buffer`: it consumes what is certain, and returns True
    if the next rule may go on with the rest, False if it needs more text.
    """

    def __init__(self, marks: CallMarks, offered: Collection[str], new_id: NewId) -> None:
        self.completed_calls = 0
        self._marks = marks
        self._offered = frozenset(offered)
        self._new_id = new_id
        self._buffer = ""
        self._scanned = 0
        """The number of characters of the buffer that the current rule has scanned."""
        self._object_start = 0
        self._nesting = JsonNesting()
        self._broken_string = False
        """True if a string of the arguments spans lines, so that its end cannot be recognised."""
        self._object_open = False
        """True if the object of the last arguments is not closed yet."""
        self._trimmer = WhitespaceTrimmer()
        self._calls = 0
        self._events: list[Event] = []
        self._state: Callable[[], bool] = self._at_start if marks.bare else self._in_text

    @property
    def pending(self) -> int:
        """The number of characters pushed that are not decided yet."""
        return len(self._buffer) + self._trimmer.pending

    def push(self, text: str) -> list[Event]:
        """Return the events that are certain with this piece of the answer."""
        self._buffer += text
        while self._state():
            pass
        return self._take_events()

    def flush(self, *, cut: bool = False) -> list[Event]:
        """Return the events of the text still pending, at the answer's end, as `CallReader` says."""
        if self._state == self._in_arguments:
            self._emit_arguments(len(self._buffer))
        elif cut and self._may_be_call():
            if (name := self._cut_name()) in self._offered and name is not None:
                self._start_call(name, len(self._buffer), object_open=True)
            elif self._buffer:
                self._trimmer.cut()
        elif self._state not in (self._after_call, self._in_member, self._between_objects):
            self._emit_text(len(self._buffer))
        if rest := self._trimmer.flush():
            self._events.append(Text(rest))
        return self._take_events()

    def _in_text(self) -> bool:
        found = [(at, mark) for mark in self._marks.openings if (at := self._buffer.find(mark)) >= 0]
        if not found:
            partial = max(partial_match(self._buffer, mark) for mark in self._marks.openings)
            self._emit_text(len(self._buffer) - partial)
            return False
        start, mark = min(found)
        self._emit_text(start)
        return self._enter(self._before_object, at=len(mark))

    def _at_start(self) -> bool:
        """Read the start of an answer, which may be a call without a mark."""
        if not (start := self._buffer.lstrip(SPACE)):
            return False
        compact = "".join(start[:UNMARKED_START_LENGTH].split())
        if compact.startswith(UNMARKED_STARTS):
            return self._enter(self._before_object)
        possible = any(beginning.startswith(compact) for beginning in UNMARKED_STARTS)
        if possible and len(start) < UNMARKED_START_LENGTH:
            return False
        return self._enter(self._in_text)

    def _before_object(self) -> bool:
        """Read from a mark up to the object that may follow."""
        return self._seek_object(self._marks.lead)

    def _between_objects(self) -> bool:
        """Read from the end of a call up to the object that may follow."""
        return self._seek_object(self._marks.separators)

    def _after_other_object(self) -> bool:
        """Read on as `_between_objects`, but after an object that was no call: it stays text at the end."""
        return self._seek_object(self._marks.separators)

    def _seek_object(self, skipped: str) -> bool:
        for at in range(self._scanned, len(self._buffer)):
            if self._buffer[at] == "{":
                self._object_start = at
                return self._enter(self._in_object, at=at)
            if self._buffer[at] not in skipped:
                return self._reject(at)
        self._scanned = len(self._buffer)
        return False

    def _in_object(self) -> bool:
        for at in range(self._scanned, len(self._buffer)):
            character = self._buffer[at]
            if self._breaks_json(character):
                return self._reject(at)
            depth = self._nesting.depth
            self._nesting.push(character)
            if (depth, self._nesting.depth) == (1, 2) and (name := self._offered_name(at + 1)):
                self._start_call(name, at, object_open=True)
                return self._enter(self._in_arguments)
            if (depth, self._nesting.depth) == (1, 0):
                return self._read_whole_object(at + 1)
        self._scanned = len(self._buffer)
        return False

    def _read_whole_object(self, end: int) -> bool:
        """Decide on an object that ends at `end` and did not start as a call does."""
        call = json_scanner.parse_call(self._buffer[self._object_start : end])
        if call is None or call[0] not in self._offered:
            self._emit_text(end)
            return self._enter(self._after_other_object if self._marks.separators else self._in_text)
        self._start_call(call[0], end, object_open=False)
        self._events.append(ToolCallArguments(self._calls - 1, call[1]))
        return self._end_call()

    def _in_arguments(self) -> bool:
        closing = self._marks.closing
        for at in range(self._scanned, len(self._buffer)):
            character = self._buffer[at]
            if closing and character == closing[0] and (self._broken_string or not self._nesting.quoted):
                mark = self._buffer[at : at + len(closing)]
                if mark == closing:
                    self._emit_arguments(at)
                    return self._end_call()
                if closing.startswith(mark):
                    self._emit_arguments(at)
                    return False
            self._broken_string |= self._nesting.quoted and character == "\n"
            self._nesting.push(character)
            if self._nesting.depth == 0:
                self._emit_arguments(at + 1)
                return self._end_call()
        self._emit_arguments(len(self._buffer))
        return False

    def _after_call(self) -> bool:
        """Read from the end of a call's arguments up to its closing mark."""
        rest = self._buffer.lstrip(self._marks.tail)
        self._object_open = self._object_open and "}" not in self._buffer[: len(self._buffer) - len(rest)]
        self._buffer = rest
        if self._marks.closing and rest.startswith(self._marks.closing):
            self._consume(len(self._marks.closing))
            return self._enter(self._in_text)
        if self._marks.closing.startswith(rest):
            return False
        if self._object_open and MEMBER.match(rest):
            return self._enter(self._in_member, at=1)
        return self._enter(self._between_objects if self._marks.separators else self._in_text)

    def _in_member(self) -> bool:
        """Skip further members of the object of a call: they are no text."""
        for at in range(self._scanned, len(self._buffer)):
            character = self._buffer[at]
            first = not self._buffer[1:at].strip(SPACE)
            if self._breaks_json(character) or (first and character not in SPACE + '"'):
                return self._enter(self._between_objects if self._marks.separators else self._in_text)
            self._nesting.push(character)
            if self._nesting.depth < 0:
                self._consume(at)
                return self._enter(self._after_call)
        self._scanned = len(self._buffer)
        return False

    def _may_be_call(self) -> bool:
        """Return True if the pending text is the start of a call, or of its mark."""
        if self._state in (self._in_object, self._at_start) and not self._calls:
            marked = self._buffer.startswith(self._marks.openings)
            return marked or json_scanner.may_start_call(self._buffer, self._offered)
        return self._state in (self._in_text, self._before_object, self._in_object)

    def _cut_name(self) -> str | None:
        """Return the tool's name of a call that was cut between its name and its arguments."""
        if self._state != self._in_object:
            return None
        return json_scanner.complete_name(self._buffer[self._object_start :])

    def _breaks_json(self, character: str) -> bool:
        """Return True if no JSON that models write can go on with this character."""
        return character == ("\n" if self._nesting.quoted else "<")

    def _offered_name(self, end: int) -> str | None:
        """Return the offered tool's name if the object up to `end` is the head of a call."""
        name = json_scanner.tool_name(self._buffer[self._object_start : end])
        return name if name in self._offered else None

    def _reject(self, end: int) -> bool:
        """Emit the buffer up to `end` as text, since it is no call."""
        self._emit_text(end)
        return self._enter(self._in_text)

    def _start_call(self, name: str, at: int, *, object_open: bool) -> None:
        """Start a call whose mark and head are the buffer up to `at`."""
        self._consume(at)
        self._object_open = object_open
        self._trimmer.cut()
        self._events.append(ToolCallStart(self._calls, self._new_id(), name))
        self._calls += 1

    def _end_call(self) -> bool:
        self.completed_calls += 1
        return self._enter(self._after_call)

    def _enter(self, state: Callable[[], bool], *, at: int = 0) -> bool:
        self._state, self._scanned = state, at
        self._nesting, self._broken_string = JsonNesting(), False
        return True

    def _emit_arguments(self, count: int) -> None:
        if piece := self._consume(count):
            self._events.append(ToolCallArguments(self._calls - 1, piece))

    def _emit_text(self, count: int) -> None:
        if text := self._trimmer.push(self._consume(count)):
            self._events.append(Text(text))

    def _consume(self, count: int) -> str:
        piece, self._buffer = self._buffer[:count], self._buffer[count:]
        self._scanned = 0
        return piece

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events
