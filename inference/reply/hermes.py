"""The hermes dialect: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>` blocks in the text.

It is the format of the Nous Research Hermes models and of Qwen2.5. What a block is shows as it is read:

- When it begins `{"name": N, "arguments": {` and N is a tool that was offered, it is a call. The arguments
  are passed on as they are written, and the call cannot be taken back: should the model stop in the middle,
  or write what is no JSON, the pieces stand.
- Another object is read to its end. It is a call when it is JSON, its name is a tool that was offered, and
  its arguments are an object or absent; they are given whole, written anew.
- Anything else is no call. It stays text, exactly as written.

A closing tag inside a string of the arguments is part of them. White space next to a call is content only
between two texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from typing import Any, Never

from inference.contracts import Event, Text, ToolCallArguments, ToolCallStart
from inference.reply.brackets import Brackets
from inference.reply.margins import Margins

OPEN, CLOSE = "<tool_call>", "</tool_call>"
HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*\{')
SPACE = " \t\r\n"
SURROGATE = re.compile("[\ud800-\udfff]")
BEHIND_ARGUMENTS = SPACE + "}"
"""What stands between the arguments and the closing tag; models miscount the brace."""


class Hermes:
    """Reads an answer in the hermes dialect. Wherever its pieces are cut, the same text and calls come out.

    `_state` is the rule for what stands at the begin of `_buffer`. It takes what is certain, and returns
    whether the next rule may go on with the rest.
    """

    def __init__(self, offered: Collection[str], new_id: Callable[[], str]) -> None:
        self._offered = frozenset(offered)
        self._new_id = new_id
        self._state: Callable[[], bool] = self._text
        self._buffer = ""
        self._at = 0
        """How much of the buffer has been looked at."""
        self._brackets = Brackets()
        self._torn = False
        """Whether a string of the arguments spans lines, so that its end cannot be told."""
        self._margins = Margins()
        self._calls = 0
        self._events: list[Event] = []

    def push(self, text: str) -> list[Event]:
        """What is certain with this piece of the answer."""
        self._buffer += text
        while self._state():
            pass
        return self._taken()

    def flush(self) -> list[Event]:
        """What was held back, at the answer's end."""
        if self._state == self._arguments:
            self._give(len(self._buffer))
        elif self._state != self._behind_arguments:
            self._say(len(self._buffer))
        if rest := self._margins.end():
            self._events.append(Text(rest))
        return self._taken()

    def _text(self) -> bool:
        start = self._buffer.find(OPEN)
        if start < 0:
            self._say(len(self._buffer) - _overlap(self._buffer, OPEN))
            return False
        self._say(start)
        return self._enter(self._block, at=len(OPEN))

    def _block(self) -> bool:
        """A tag and what may become a call."""
        for at in range(self._at, len(self._buffer)):
            character = self._buffer[at]
            if self._is_hopeless(character):
                return self._no_call(at)
            depth = self._brackets.depth
            self._brackets.step(character)
            if (depth, self._brackets.depth) == (1, 2) and (name := self._head(at + 1)):
                self._start(name)
                self._take(at)
                return self._enter(self._arguments)
            if (depth, self._brackets.depth) == (1, 0):
                return self._object(at + 1)
        self._at = len(self._buffer)
        return False

    def _object(self, end: int) -> bool:
        """A whole object that did not begin as a call does."""
        call = _call(self._buffer[len(OPEN) : end])
        if call is None or call[0] not in self._offered:
            return self._no_call(end)
        self._take(end)
        self._start(call[0])
        self._events.append(ToolCallArguments(self._calls - 1, call[1]))
        return self._enter(self._behind_arguments)

    def _arguments(self) -> bool:
        for at in range(self._at, len(self._buffer)):
            character = self._buffer[at]
            if character == "<" and (self._torn or not self._brackets.quoted):
                tag = self._buffer[at : at + len(CLOSE)]
                if tag == CLOSE:
                    self._give(at)
                    return self._enter(self._behind_arguments)
                if CLOSE.startswith(tag):
                    self._give(at)
                    return False
            self._torn |= self._brackets.quoted and character == "\n"
            self._brackets.step(character)
            if self._brackets.depth == 0:
                self._give(at + 1)
                return self._enter(self._behind_arguments)
        self._give(len(self._buffer))
        return False

    def _behind_arguments(self) -> bool:
        self._buffer = self._buffer.lstrip(BEHIND_ARGUMENTS)
        if self._buffer.startswith(CLOSE):
            self._take(len(CLOSE))
        elif CLOSE.startswith(self._buffer):
            return False
        return self._enter(self._text)

    def _is_hopeless(self, character: str) -> bool:
        """Whether no JSON object can go on with this character."""
        if self._brackets.quoted:
            return character == "\n"
        return character == "<" or (self._brackets.depth == 0 and character not in SPACE + "{")

    def _head(self, end: int) -> str | None:
        """The tool's name when the block up to here is the head of a call."""
        match = HEAD.fullmatch(self._buffer, len(OPEN), end)
        name = _json(match[1]) if match else None
        return name if isinstance(name, str) and name in self._offered else None

    def _no_call(self, end: int) -> bool:
        self._say(end)
        return self._enter(self._text)

    def _start(self, name: str) -> None:
        self._margins.cut()
        self._events.append(ToolCallStart(self._calls, self._new_id(), name))
        self._calls += 1

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


def _overlap(text: str, tag: str) -> int:
    """The length of the longest end of the text that begins the tag."""
    return max(length for length in range(len(tag)) if text.endswith(tag[:length]))


def _call(text: str) -> tuple[str, str] | None:
    """The name and the arguments' JSON text that an object holds, where it is a call."""
    match _json(text):
        case {"name": str(name), "arguments": dict(arguments)}:
            return name, _written(arguments)
        case {"name": str(name), **others} if others.get("arguments") is None:
            return name, "{}"
    return None


def _written(arguments: dict[str, Any]) -> str:
    """The JSON text of arguments; in ASCII when a lone surrogate could not be sent otherwise."""
    text = json.dumps(arguments, ensure_ascii=False)
    return json.dumps(arguments) if SURROGATE.search(text) else text


def _json(text: str) -> object:
    """The value of a JSON text, None where it is none."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")
