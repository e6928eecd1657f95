"""Calls without the marks of their format: an answer that is JSON, in a fence or bare, and nothing else.

Qwen's coder models, small models and those whose template shows no marks write

    ```json
    {"name": "get_weather", "arguments": {"city": "Paris"}}
    ```

or the object alone, several of them, or a list, and some put tags such as `<tools>` around it. Such an answer
is calls only if every object in it names an offered tool, and if no word stands before, between or behind
them. It is held back no longer than it may still be that; as soon as it cannot, it goes to the reader of the
format as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from inference.contracts import Event, ToolCallArguments, ToolCallStart
from inference.tool_formats import json_scanner
from inference.tool_formats.json_scanner import JsonNesting
from inference.tool_formats.tool_format import CallReader, NewId

SPACE = " \t\r\n"
FENCE = "```"
TAGS = ("tools", "tool", "function_call", "function_calls", "tool_calls", "json")
"""Names of tags that stand around calls where a model does not write those of its format."""
OPENING = re.compile(
    rf"```[ \t]*(?:json5?|JSON|tool_calls?|tool_code|tool|xml)?[ \t]*\r?\n\s*|```(?=[\[{{])|"
    rf"<({'|'.join(TAGS)})>\s*"
)
OPENING_START = re.compile(
    r"`{1,3}|```[ \t]*[a-zA-Z_0-9]{0,12}[ \t]*\r?"
    + "|".join(["", *(re.escape(f"<{tag}>"[:end]) for tag in TAGS for end in range(1, len(tag) + 2))])
)
"""What can still become an opening."""


class UnmarkedCallReader:
    """A reader of such answers in front of the reader of a format, as `CallReader` describes it.

    `_state` consumes from the start of `_buffer` and returns True if the next state may go on with the rest.
    """

    def __init__(
        self, marked: CallReader, offered: Collection[str], new_id: NewId, *, objects: bool = True
    ) -> None:
        """Take the reader of the format; `objects` is false where it reads bare objects itself."""
        self._marked, self._offered, self._new_id = marked, frozenset(offered), new_id
        self._objects = objects
        self._text = ""
        """All text that is held back."""
        self._at = 0
        """The place in it up to which it is read."""
        self._start = 0
        """The start of the object that is read."""
        self._nesting = JsonNesting()
        self._closing = ""
        self._listed = False
        self._calls: list[tuple[str, str]] = []
        self._emitted = 0
        self._state: Callable[[], bool] | None = self._before

    @property
    def pending(self) -> int:
        return len(self._text) + self._marked.pending

    @property
    def completed_calls(self) -> int:
        return self._emitted + self._marked.completed_calls

    def push(self, text: str) -> Sequence[Event]:
        if self._state is None:
            return self._marked.push(text)
        self._text += text
        while self._state is not None and self._state():
            pass
        return [] if self._state is not None else self._released()

    def flush(self, *, cut: bool = False) -> Sequence[Event]:
        if self._state is None:
            return self._marked.flush(cut=cut)
        if self._calls and not self._listed and self._state in (self._between, self._before):
            return self._events(self._calls)
        if cut and (begun := self._begun()) is not None:
            return begun
        return [*self._released(), *self._marked.flush(cut=cut)]

    def _before(self) -> bool:
        """Read up to the first object, or after a fence up to the next."""
        self._skip(SPACE)
        rest = self._text[self._at :]
        if not rest:
            return False
        if match := OPENING.match(rest):
            self._closing = f"</{match[1]}>" if match[1] else FENCE
            self._at += match.end()
            return self._enter(self._opened)
        if rest[0] in "{[" and not self._calls and (self._objects or rest[0] == "["):
            return self._enter(self._opened)
        return self._undecided(OPENING_START.fullmatch(rest) is not None)

    def _opened(self) -> bool:
        """Read up to the first object of a fence or an answer, which a list may open."""
        self._skip(SPACE)
        if self._text.startswith("[", self._at):
            self._listed = True
            self._at += 1
        return self._enter(self._before_object)

    def _before_object(self) -> bool:
        self._skip(SPACE)
        if self._at == len(self._text):
            return False
        if self._text[self._at] == "[" and not self._listed and not self._calls:
            return self._enter(self._opened)
        if self._text[self._at] != "{":
            return self._reject()
        self._start, self._nesting = self._at, JsonNesting()
        return self._enter(self._in_object)

    def _in_object(self) -> bool:
        for at in range(self._at, len(self._text)):
            character = self._text[at]
            if self._nesting.quoted and character == "\n":
                return self._reject()
            self._nesting.push(character)
            if character == '"' and not self._nesting.quoted and self._is_foreign(at + 1):
                return self._reject()
            if self._nesting.depth == 0:
                return self._end_object(at + 1)
        self._at = len(self._text)
        return False

    def _is_foreign(self, end: int) -> bool:
        """Return True if the object up to the end of a string cannot be a call."""
        if self._nesting.depth > 1 or end - self._start > json_scanner.MAX_HEAD:
            return False
        head = self._text[self._start : end]
        name = json_scanner.complete_name(head)
        return not json_scanner.has_call_key(head) or (name is not None and name not in self._offered)

    def _end_object(self, end: int) -> bool:
        call = json_scanner.parse_unmarked_call(self._text[self._start : end])
        if call is None or call[0] not in self._offered:
            return self._reject()
        self._calls.append(call)
        self._at = end
        return self._enter(self._between)

    def _between(self) -> bool:
        """Read from the end of a call up to the next, or to the end of what encloses them."""
        self._skip(SPACE + ",;")
        rest = self._text[self._at :]
        if not rest:
            return False
        if rest[0] == "{":
            return self._enter(self._before_object)
        if self._listed and rest[0] == "]":
            self._listed = False
            self._at += 1
            return True
        if self._closing and not self._listed and rest.startswith(self._closing):
            self._at += len(self._closing)
            return self._enter(self._before)
        return self._undecided(bool(self._closing) and self._closing.startswith(rest))

    def _begun(self) -> list[Event] | None:
        """Return the events of an answer that was cut inside a call, None where it is not known to be one."""
        if self._state != self._in_object:
            return None
        begun = json_scanner.begun_call(self._text[self._start :])
        if begun is None or begun[0] not in self._offered:
            return None
        return self._events([*self._calls, begun])

    def _events(self, calls: Sequence[tuple[str, str]]) -> list[Event]:
        events: list[Event] = []
        for number, (name, arguments) in enumerate(calls):
            events.append(ToolCallStart(number, self._new_id(), name))
            if arguments:
                events.append(ToolCallArguments(number, arguments))
        self._text, self._emitted = "", len(calls)
        return events

    def _skip(self, characters: str) -> None:
        while self._at < len(self._text) and self._text[self._at] in characters:
            self._at += 1

    def _undecided(self, possible: bool) -> bool:
        return False if possible else self._reject()

    def _enter(self, state: Callable[[], bool]) -> bool:
        self._state = state
        return True

    def _reject(self) -> bool:
        self._state = None
        return False

    def _released(self) -> Sequence[Event]:
        """Return the events that the reader of the format makes of all that was held back."""
        text, self._text = self._text, ""
        return self._marked.push(text)
