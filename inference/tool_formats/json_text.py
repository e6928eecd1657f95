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
