"""Building blocks of grammars that force tool calls, in Lark's notation as llguidance reads it.

Source: https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md. `<[5]>` is the token with id 5,
`%json` a value of a JSON Schema. Values are formatted by `JSON_FORM`, as in the families' training data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from inference.contracts.requests import JSON_FORM
from inference.tool_formats.tool_format import TokenId, ToolSpec

START = re.compile(r"^start(?=:)", re.MULTILINE)
OPEN_ENDED = frozenset(
    {
        *("additionalProperties", "patternProperties", "unevaluatedProperties"),
        *("$ref", "allOf", "anyOf", "oneOf", "if"),
    }
)
"""Keywords by which a schema can admit properties beyond those in its `properties`."""


def literal(text: str) -> str:
    """Return the terminal that matches exactly this text."""
    return json.dumps(text)


def marker(text: str, token_id: TokenId) -> str:
    """Return the terminal of the model's own token with this text, or of the text where it has none."""
    number = token_id(text)
    return literal(text) if number is None else f"<[{number}]>"


def arguments_schema(tool: ToolSpec) -> dict[str, Any]:
    """Return the JSON Schema of a tool's arguments, which are always an object.

    A tool that names its properties, or has none, and does not mention others is closed to others: a model
    that must call would invent some.
    """
    schema = {**(tool.parameters or {}), "type": "object"}
    properties, required = schema.get("properties") or {}, schema.get("required") or []
    if not (isinstance(properties, Mapping) and isinstance(required, list)):
        return schema
    if OPEN_ENDED & schema.keys() or schema.get("minProperties"):
        return schema
    if all(name in properties for name in required if isinstance(name, str)):
        return {**schema, "additionalProperties": False}
    return schema


def arguments(tool: ToolSpec) -> str:
    """Return the expression that matches the arguments of a tool."""
    return f"%json {json.dumps({**arguments_schema(tool), 'x-guidance': dict(JSON_FORM)})}"


def alternatives(name: str, bodies: Sequence[str]) -> str:
    """Return the rule `name` that matches any one of the bodies."""
    rules = [f"{name}_{number}: {body}" for number, body in enumerate(bodies)]
    names = " | ".join(f"{name}_{number}" for number in range(len(bodies)))
    return "\n".join([f"{name}: {names}", *rules])


def after_mark(mark: str, calls: str, token_id: TokenId) -> str:
    """Return the grammar of calls, as a tool format has it, with a mark before them."""
    return f"start: {marker(mark, token_id)} marked_calls\n{START.sub('marked_calls', calls, count=1)}"


def bare_call_objects(tools: Sequence[ToolSpec], arguments_key: str) -> str:
    """Return the rule `call` as `call_objects`, for objects that stand where a value of a schema can too.

    The head is cut into the lexemes of such a value: a longer one would be the only one to go on with.
    """
    key = literal(json.dumps(arguments_key))
    heads = [
        f'"{{" {literal(json.dumps("name"))} ": " {literal(json.dumps(tool.name))} ", " {key} ": "'
        for tool in tools
    ]
    return _calls(heads, tools)


def call_objects(tools: Sequence[ToolSpec], arguments_key: str) -> str:
    """Return the rule `call`: a JSON object of a tool's name and, under `arguments_key`, its arguments."""
    heads = [literal(f'{{"name": {json.dumps(tool.name)}, {json.dumps(arguments_key)}: ') for tool in tools]
    return _calls(heads, tools)


def _calls(heads: Sequence[str], tools: Sequence[ToolSpec]) -> str:
    bodies = [f'{head} arguments_{number} "}}"' for number, head in enumerate(heads)]
    rules = [f"arguments_{number}: {arguments(tool)}" for number, tool in enumerate(tools)]
    return "\n".join([alternatives("call", bodies), *rules])


def one_or_more(expression: str, separator: str, *, parallel: bool) -> str:
    """Return the expression itself, or with `parallel` its repetition, joined by the separator's text."""
    if not parallel:
        return expression
    return f"{expression} ({literal(separator)} {expression})*" if separator else f"{expression}+"
