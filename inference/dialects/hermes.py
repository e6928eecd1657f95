"""The hermes dialect: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, one block a call.

It is the format of the Nous Research Hermes models, of Qwen2.5 and of Qwen3.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from inference.dialects import grammar
from inference.dialects.dialect import Call, Dialect, NewId, TokenId, Tool
from inference.dialects.json_calls import JsonCalls, Marks

OPEN, CLOSE = "<tool_call>", "</tool_call>"
MARKS = Marks((OPEN,), CLOSE)


def read(offered: Collection[str], new_id: NewId) -> JsonCalls:
    return JsonCalls(MARKS, offered, new_id)


def force(tools: Sequence[Tool], *, parallel: bool, token_id: TokenId) -> str:
    begin, end = grammar.marker(OPEN, token_id), grammar.marker(CLOSE, token_id)
    blocks = grammar.several("block", "\n", parallel=parallel)
    block = f'{begin} "\\n" call "\\n" {end}'
    return "\n".join([f"start: {blocks}", f"block: {block}", grammar.objects(tools, "arguments")])


def write(calls: Sequence[Call]) -> str:
    objects = [grammar.written(call.name, "arguments", call.arguments) for call in calls]
    return "\n".join(f"{OPEN}\n{one}\n{CLOSE}" for one in objects)


DIALECT = Dialect(read, force, write, markers=(OPEN, CLOSE))
