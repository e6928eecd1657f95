"""JSON that a model wrote as the call of a tool."""

from __future__ import annotations

import json
import re
from typing import Any, Never

HEAD = re.compile(
    r'\{\s*(?:"type"\s*:\s*"function"\s*,\s*)?"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*'
    r'"(?:arguments|parameters)"\s*:\s*\{'
)
"""An object up to the brace that opens its arguments, where the name comes first."""
SURROGATE = re.compile("[\ud800-\udfff]")


def named(head: str) -> str | None:
    """The tool's name, where the text is the head of a call."""
    match = HEAD.fullmatch(head)
    name = _value(match[1]) if match else None
    return name if isinstance(name, str) else None


def call(text: str) -> tuple[str, str] | None:
    """The name and the arguments' JSON text that an object holds, where it is a call."""
    return _call(_value(text))


def _call(value: object) -> tuple[str, str] | None:
    match value:
        case {"name": str(name), **others}:
            arguments = others.get("arguments", others.get("parameters"))
            if isinstance(arguments, str):
                arguments = _value(arguments) or arguments
            if arguments is None:
                arguments = {}
            return (name, _written(arguments)) if isinstance(arguments, dict) else None
        case {"function": dict(function)}:
            return _call(function)
    return None


def _written(arguments: dict[str, Any]) -> str:
    """The JSON text of arguments; in ASCII when a lone surrogate could not be sent otherwise."""
    text = json.dumps(arguments, ensure_ascii=False)
    return json.dumps(arguments) if SURROGATE.search(text) else text


def _value(text: str) -> object:
    """The value of a JSON text, None where it is none."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")


class Brackets:
    """`depth` counts the objects and arrays that are open, `quoted` says whether a string is."""

    def __init__(self) -> None:
        self.depth = 0
        self.quoted = False
        self._escaped = False

    def step(self, character: str) -> None:
        """Takes the next character, of valid JSON or not."""
        if self._escaped:
            self._escaped = False
        elif character == '"':
            self.quoted = not self.quoted
        elif self.quoted:
            self._escaped = character == "\\"
        elif character in "{[":
            self.depth += 1
        elif character in "}]":
            self.depth -= 1


class Margins:
    """Passes a text on without the white space next to a cut, unless it stands between two texts.

    White space at the end of what came so far is held back, since a cut or the end may follow.
    """

    def __init__(self) -> None:
        self._space = ""
        self._said = False
        self._beside_cut = False

    @property
    def held(self) -> int:
        """How many characters wait for what follows."""
        return len(self._space)

    def say(self, text: str) -> str:
        """Takes the next piece of the text; gives what may be said now."""
        held = self._space + text
        said = held.rstrip()
        self._space = held[len(said) :]
        if not said:
            return ""
        if self._beside_cut and not self._said:
            said = said.lstrip()
        self._said, self._beside_cut = True, False
        return said

    def cut(self) -> None:
        """Something was cut out here."""
        self._beside_cut = True

    def end(self) -> str:
        """What was held back, at the end of the text."""
        return "" if self._beside_cut else self._space


def overlap(text: str, mark: str) -> int:
    """The length of the longest end of the text that begins the mark and is not all of it."""
    return max(length for length in range(len(mark)) if text.endswith(mark[:length]))
