"""The dialect of Phi-4: `<|tool_call|>[{"name": ..., "arguments": {...}}, ...]<|/tool_call|>`.

The marks are tokens of their own in Phi-4-mini; where the vocabulary has none the text is `functools[...]`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from inference.dialects import grammar
from inference.dialects.dialect import Call, Dialect, NewId, TokenId, Tool
from inference.dialects.json_calls import SPACE, JsonCalls, Marks

OPEN, CLOSE = "<|tool_call|>", "<|/tool_call|>"
FUNCTOOLS = "functools["
MARKS = Marks((OPEN, FUNCTOOLS), CLOSE, lead=SPACE + "[", tail=SPACE + "}]", between=SPACE + ",")


def read(offered: Collection[str], new_id: NewId) -> JsonCalls:
    return JsonCalls(MARKS, offered, new_id)


def force(tools: Sequence[Tool], *, parallel: bool, token_id: TokenId) -> str:
    calls = grammar.several("call", ", ", parallel=parallel)
    start = f'{grammar.literal(FUNCTOOLS)} {calls} "]"'
    if token_id(OPEN) is not None:
        start = f'{grammar.marker(OPEN, token_id)} "[" {calls} "]" {grammar.marker(CLOSE, token_id)}'
    return "\n".join([f"start: {start}", grammar.objects(tools, "arguments")])


def write(calls: Sequence[Call]) -> str:
    listed = ", ".join(grammar.written(call.name, "arguments", call.arguments) for call in calls)
    return f"{OPEN}[{listed}]{CLOSE}"


DIALECT = Dialect(read, force, write, markers=(OPEN, CLOSE))
