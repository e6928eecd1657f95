"""Scanners of text in which a model writes tool calls as JSON, character by character or whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Never

HEAD = re.compile(
    r'\{\s*(?:"type"\s*:\s*"function"\s*,\s*)?"(?:name|function)"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*'
    r'"(?:arguments|parameters)"\s*:\s*\{'
)
"""A call's object up to the brace that opens its arguments, where the name comes first."""
NAME = re.compile(r'\{\s*(?:"type"\s*:\s*"function"\s*,\s*)?"(?:name|function)"\s*:\s*("(?:[^"\\]|\\.)*")')
"""A call's object up to the end of its name, where the name comes first."""
MAX_HEAD = 256
"""Characters of an object within which a call without a mark shows what it is."""
CALL_KEYS = frozenset({"type", "id", "name", "function", "arguments", "parameters"})
KEY = re.compile(r'\{\s*"([^"\\]*)"\Z|\{\s*"([^"\\]*)"\s*:')
SURROGATE = re.compile("[\ud800-\udfff]")


def tool_name(head: str) -> str | None:
    """Return the tool's name if the text is the head of a call, else None."""
    match = HEAD.fullmatch(head)
    name = _parse_json(match[1]) if match else None
    return name if isinstance(name, str) else None


def complete_name(start: str) -> str | None:
    """Return the tool's name if the text starts as a call does, up to the end of its name, else None."""
    match = NAME.match(start)
    name = _parse_json(match[1]) if match else None
    return name if isinstance(name, str) else None


def may_start_call(text: str, names: Iterable[str]) -> bool:
    """Return True if the text, white space aside, can be the start of a call of one of the tools."""
    compact = "".join(text.split())
    keys = ("arguments", "parameters")
    heads = [f'{{"name":{json.dumps(name)},"{key}":{{' for name in names for key in keys]
    return any(head.startswith(compact) or compact.startswith(head) for head in heads)


def parse_call(text: str) -> tuple[str, str] | None:
    """Return the name and the arguments, as JSON text, of an object that is a call, else None."""
    return _call(_parse_json(text))


def has_call_key(start: str) -> bool:
    """Return True if the first key of an object, whose string is complete, is one that a call can have."""
    match = KEY.match(start)
    return match is not None and (match[1] or match[2]) in CALL_KEYS


def parse_unmarked_call(text: str) -> tuple[str, str] | None:
    """Return what `parse_call` does, for an object that is a call and cannot be anything else.

    The object has arguments and no key that calls do not have. A tool's definition has the same keys: what
    tells it is that its parameters are a schema.
    """
    value = _parse_json(text)
    inner = value.get("function") if isinstance(value, dict) else None
    call = inner if isinstance(inner, dict) else value
    if not isinstance(call, dict) or not isinstance(value, dict) or (call.keys() | value.keys()) - CALL_KEYS:
        return None
    given = call.get("arguments", call.get("parameters"))
    if given is None and not call.keys() & {"arguments", "parameters"}:
        return None
    if isinstance(given, dict) and given.get("type") == "object" and "properties" in given:
        return None
    return _call(value)


def begun_call(start: str) -> tuple[str, str] | None:
    """Return the name and the arguments so far of a call that was cut, None without a complete name."""
    name = complete_name(start)
    if name is None:
        return None
    head = HEAD.match(start)
    return name, start[head.end() - 1 :] if head else ""


def _call(value: object) -> tuple[str, str] | None:
    match value:
        case {"name": str(name), **members}:
            arguments = members.get("arguments", members.get("parameters"))
            if isinstance(arguments, str):
                arguments = _parse_json(arguments) or arguments
            if arguments is None:
                arguments = {}
            return (name, _to_json(arguments)) if isinstance(arguments, dict) else None
        case {"function": dict(function)}:
            return _call(function)
        case {"function": str(name), **members}:
            return _call({**members, "name": name})
    return None


def _to_json(arguments: dict[str, Any]) -> str:
    """Return the JSON text of arguments, in ASCII where a lone surrogate could not be encoded otherwise."""
    text = json.dumps(arguments, ensure_ascii=False)
    return json.dumps(arguments) if SURROGATE.search(text) else text


def _parse_json(text: str) -> object:
    """Return the value of a JSON text, None where it is not JSON."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")


class JsonNesting:
    """The position in a JSON text: `depth` counts open objects and arrays, `quoted` is true in a string."""

    def __init__(self) -> None:
        self.depth = 0
        self.quoted = False
        self._escaped = False

    def push(self, character: str) -> None:
        """Take the next character; the text need not be valid JSON."""
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


class WhitespaceTrimmer:
    """A filter of text from which parts are cut: white space next to a cut stays only between two texts.

    White space at the end of the text so far is pending, since a cut or the end may follow.
    """

    def __init__(self) -> None:
        self._space = ""
        self._has_text = False
        self._after_cut = False

    @property
    def pending(self) -> int:
        """The number of characters that depend on what follows."""
        return len(self._space)

    def push(self, text: str) -> str:
        """Take the next piece of the text and return the part that is certain."""
        text = self._space + text
        certain = text.rstrip()
        self._space = text[len(certain) :]
        if not certain:
            return ""
        if self._after_cut and not self._has_text:
            certain = certain.lstrip()
        self._has_text, self._after_cut = True, False
        return certain

    def cut(self) -> None:
        """Mark that something was cut out here."""
        self._after_cut = True

    def flush(self) -> str:
        """Return the pending white space that belongs to the text, at its end."""
        return "" if self._after_cut else self._space


def partial_match(text: str, mark: str) -> int:
    """Return the length of the longest end of the text that is a proper prefix of the mark."""
    return max(length for length in range(len(mark)) if text.endswith(mark[:length]))
