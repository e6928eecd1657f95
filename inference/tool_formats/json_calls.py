"""A reader of calls that are JSON objects between marks, which most dialects are.

Behind an opening mark stands an object, in some dialects one of several. What it is shows as it is read:

- When it begins `{"name": N, "arguments": {` and N is a tool that was offered, it is a call. The arguments
  are passed on as they are written, and the call cannot be taken back: should the model stop in the middle,
  or write what is no JSON, the pieces stand.
- Another object is read to its end. It is a call when it is JSON, its name is a tool that was offered, and
  its arguments are an object or absent; they are given whole, written anew.
- Anything else is no call. It stays text, exactly as written, its mark included.

`parameters` is taken for `arguments`. A mark inside a string of the arguments is part of them. White space
next to a call is content only between two texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from inference.contracts import Event, Text, ToolCallArguments, ToolCallStart
from inference.tool_formats import json_scanner
from inference.tool_formats.json_scanner import Brackets, Margins, overlap
from inference.tool_formats.tool_format import NewId

SPACE = " \t\r\n"
MEMBER = re.compile(r',\s*(?:"|\Z)')
BEGINNINGS = tuple(f'{{"{key}":' for key in ("name", "type", "function", "arguments", "parameters", "id"))
"""How an object can begin that becomes a call, without white space."""
BEGINNING = 64
"""Characters after which the begin of an object without a mark is known, white space and all."""


@dataclass(frozen=True, slots=True)
class CallMarks:
    """What a dialect writes around its objects."""

    opens: tuple[str, ...]
    close: str = ""
    lead: str = SPACE
    """Characters that may stand between a mark and its first object."""
    tail: str = SPACE + "}"
    """Characters that may stand between the arguments and what follows; models miscount the brace."""
    between: str = ""
    """Characters that may stand between two objects; where there are none, a mark has one object."""
    bare: bool = False
    """Whether an answer can begin with an object that has no mark."""


class JsonCalls:
    """Reads an answer. `_state` is the rule for what stands at the begin of `_buffer`: it takes what is
    certain, and returns whether the next rule may go on with the rest."""

    def __init__(self, marks: CallMarks, offered: Collection[str], new_id: NewId) -> None:
        self.ended = 0
        self._marks = marks
        self._offered = frozenset(offered)
        self._new_id = new_id
        self._buffer = ""
        self._at = 0
        """How much of the buffer has been looked at."""
        self._object_at = 0
        self._brackets = Brackets()
        self._torn = False
        """Whether a string of the arguments spans lines, so that its end cannot be told."""
        self._inside = False
        """Whether the object that the last arguments stood in is still open."""
        self._margins = Margins()
        self._calls = 0
        self._events: list[Event] = []
        self._state: Callable[[], bool] = self._first if marks.bare else self._text

    @property
    def held(self) -> int:
        return len(self._buffer) + self._margins.held

    def push(self, text: str) -> list[Event]:
        self._buffer += text
        while self._state():
            pass
        return self._taken()

    def flush(self) -> list[Event]:
        if self._state == self._arguments:
            self._give(len(self._buffer))
        elif self._state not in (self._behind, self._member, self._next):
            self._say(len(self._buffer))
        if rest := self._margins.end():
            self._events.append(Text(rest))
        return self._taken()

    def _text(self) -> bool:
        found = [(at, mark) for mark in self._marks.opens if (at := self._buffer.find(mark)) >= 0]
        if not found:
            self._say(len(self._buffer) - max(overlap(self._buffer, mark) for mark in self._marks.opens))
            return False
        start, mark = min(found)
        self._say(start)
        return self._enter(self._lead, at=len(mark))

    def _first(self) -> bool:
        """The begin of an answer that may be a call without a mark."""
        if not (begun := self._buffer.lstrip(SPACE)):
            return False
        compact = "".join(begun[:BEGINNING].split())
        if compact.startswith(BEGINNINGS):
            return self._enter(self._lead)
        if len(begun) < BEGINNING and any(beginning.startswith(compact) for beginning in BEGINNINGS):
            return False
        return self._enter(self._text)

    def _lead(self) -> bool:
        """A mark, and what may become an object."""
        return self._seek(self._marks.lead)

    def _next(self) -> bool:
        """What stands between a call and what may become another object."""
        return self._seek(self._marks.between)

    def _further(self) -> bool:
        """The same behind an object that was no call: it stays text, if nothing comes."""
        return self._seek(self._marks.between)

    def _seek(self, skipped: str) -> bool:
        for at in range(self._at, len(self._buffer)):
            if self._buffer[at] == "{":
                self._object_at = at
                return self._enter(self._object, at=at)
            if self._buffer[at] not in skipped:
                return self._no_call(at)
        self._at = len(self._buffer)
        return False

    def _object(self) -> bool:
        for at in range(self._at, len(self._buffer)):
            character = self._buffer[at]
            if self._is_hopeless(character):
                return self._no_call(at)
            depth = self._brackets.depth
            self._brackets.step(character)
            if (depth, self._brackets.depth) == (1, 2) and (name := self._head(at + 1)):
                self._start(name, at, inside=True)
                return self._enter(self._arguments)
            if (depth, self._brackets.depth) == (1, 0):
                return self._whole(at + 1)
        self._at = len(self._buffer)
        return False

    def _whole(self, end: int) -> bool:
        """A whole object that did not begin as a call does."""
        call = json_scanner.call(self._buffer[self._object_at : end])
        if call is None or call[0] not in self._offered:
            self._say(end)
            return self._enter(self._further if self._marks.between else self._text)
        self._start(call[0], end, inside=False)
        self._events.append(ToolCallArguments(self._calls - 1, call[1]))
        return self._end()

    def _arguments(self) -> bool:
        close = self._marks.close
        for at in range(self._at, len(self._buffer)):
            character = self._buffer[at]
            if close and character == close[0] and (self._torn or not self._brackets.quoted):
                mark = self._buffer[at : at + len(close)]
                if mark == close:
                    self._give(at)
                    return self._end()
                if close.startswith(mark):
                    self._give(at)
                    return False
            self._torn |= self._brackets.quoted and character == "\n"
            self._brackets.step(character)
            if self._brackets.depth == 0:
                self._give(at + 1)
                return self._end()
        self._give(len(self._buffer))
        return False

    def _behind(self) -> bool:
        """What follows a call up to its closing mark."""
        rest = self._buffer.lstrip(self._marks.tail)
        self._inside = self._inside and "}" not in self._buffer[: len(self._buffer) - len(rest)]
        self._buffer = rest
        if self._marks.close and rest.startswith(self._marks.close):
            self._take(len(self._marks.close))
            return self._enter(self._text)
        if self._marks.close.startswith(rest):
            return False
        if self._inside and MEMBER.match(rest):
            return self._enter(self._member, at=1)
        return self._enter(self._next if self._marks.between else self._text)

    def _member(self) -> bool:
        """Further members of an object whose arguments were given; they are no text."""
        for at in range(self._at, len(self._buffer)):
            character = self._buffer[at]
            first = not self._buffer[1:at].strip(SPACE)
            if self._is_hopeless(character) or (first and character not in SPACE + '"'):
                return self._enter(self._next if self._marks.between else self._text)
            self._brackets.step(character)
            if self._brackets.depth < 0:
                self._take(at)
                return self._enter(self._behind)
        self._at = len(self._buffer)
        return False

    def _is_hopeless(self, character: str) -> bool:
        """Whether no JSON can go on with this character."""
        return character == ("\n" if self._brackets.quoted else "<")

    def _head(self, end: int) -> str | None:
        """The tool's name when the object up to here is the head of a call."""
        name = json_scanner.named(self._buffer[self._object_at : end])
        return name if name in self._offered else None

    def _no_call(self, end: int) -> bool:
        self._say(end)
        return self._enter(self._text)

    def _start(self, name: str, at: int, *, inside: bool) -> None:
        """A call begins, of which the buffer up to `at` is told."""
        self._take(at)
        self._inside = inside
        self._margins.cut()
        self._events.append(ToolCallStart(self._calls, self._new_id(), name))
        self._calls += 1

    def _end(self) -> bool:
        self.ended += 1
        return self._enter(self._behind)

    def _enter(self, state: Callable[[], bool], *, at: int = 0) -> bool:
        self._state, self._at = state, at
        self._brackets, self._torn = Brackets(), False
        return True

    def _give(self, count: int) -> None:
        if piece := self._take(count):
            self._events.append(ToolCallArguments(self._calls - 1, piece))

    def _say(self, count: int) -> None:
        if text := self._margins.say(self._take(count)):
            self._events.append(Text(text))

    def _take(self, count: int) -> str:
        piece, self._buffer = self._buffer[:count], self._buffer[count:]
        self._at = 0
        return piece

    def _taken(self) -> list[Event]:
        events, self._events = self._events, []
        return events
