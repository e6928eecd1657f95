"""The pieces of a grammar that forces calls, in Lark's notation as llguidance reads it.

Source: https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md. `<[5]>` is the token of that id,
`%json` a value of a JSON Schema. Values are written as `json_form` says, which is how the families' training
data were written too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from inference.contracts.requests import JSON_FORM
from inference.tool_formats.tool_format import TokenId, ToolSpec

ADDITIONAL = ("additionalProperties", "patternProperties", "unevaluatedProperties")
OPEN = frozenset({*ADDITIONAL, "$ref", "allOf", "anyOf", "oneOf", "if"})
"""Keys of a schema that say something of properties beyond those it names."""


def literal(text: str) -> str:
    """A text, as a terminal."""
    return json.dumps(text)


def marker(text: str, token_id: TokenId) -> str:
    """The model's own token where it has one that is written so, else the text."""
    number = token_id(text)
    return literal(text) if number is None else f"<[{number}]>"


def schema_of(tool: ToolSpec) -> dict[str, Any]:
    """The schema of a tool's arguments: an object, also where the tool does not say so.

    A tool that names its parameters and says nothing of others gets no others: a model that must call would
    invent them.
    """
    schema = {**(tool.parameters or {}), "type": "object"}
    named, required = schema.get("properties"), schema.get("required", [])
    if not (named and isinstance(named, Mapping) and isinstance(required, list)) or OPEN & schema.keys():
        return schema
    if all(name in named for name in required if isinstance(name, str)):
        return {**schema, "additionalProperties": False}
    return schema


def arguments(tool: ToolSpec) -> str:
    """Arguments of the tool's schema."""
    return f"%json {json.dumps({**schema_of(tool), 'x-guidance': dict(JSON_FORM)})}"


def choice(name: str, bodies: Sequence[str]) -> str:
    """A rule that is one of several."""
    rules = [f"{name}_{number}: {body}" for number, body in enumerate(bodies)]
    either = " | ".join(f"{name}_{number}" for number in range(len(bodies)))
    return "\n".join([f"{name}: {either}", *rules])


def objects(tools: Sequence[ToolSpec], key: str) -> str:
    """The rule `call`: an object with a tool's name and, under `key`, its arguments."""
    heads = [literal(f'{{"name": {json.dumps(tool.name)}, {json.dumps(key)}: ') for tool in tools]
    bodies = [f'{head} arguments_{number} "}}"' for number, head in enumerate(heads)]
    return "\n".join([choice("call", bodies), *_arguments(tools)])


def several(one: str, separator: str, *, parallel: bool) -> str:
    """One, or with `parallel` any number of them with the separator's text between."""
    if not parallel:
        return one
    return f"{one} ({literal(separator)} {one})*" if separator else f"{one}+"


def _arguments(tools: Sequence[ToolSpec]) -> list[str]:
    return [f"arguments_{number}: {arguments(tool)}" for number, tool in enumerate(tools)]


def written(name: str, key: str, values: Mapping[str, Any] | str) -> str:
    """A call of the past as an object; arguments that were no object stand as the text they were."""
    text = values if isinstance(values, str) else json.dumps(values, ensure_ascii=False)
    return f'{{"name": {json.dumps(name)}, {json.dumps(key)}: {text}}}'
