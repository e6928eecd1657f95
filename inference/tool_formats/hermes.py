"""The hermes dialect: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, one block a call.

It is the format of the Nous Research Hermes models, of Qwen2.5 and of Qwen3.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from inference.tool_formats import call_grammar
from inference.tool_formats.json_calls import CallMarks, JsonCalls
from inference.tool_formats.tool_format import NewId, ParsedCall, TokenId, ToolFormat, ToolSpec

OPEN, CLOSE = "<tool_call>", "</tool_call>"
MARKS = CallMarks((OPEN,), CLOSE)


def read(offered: Collection[str], new_id: NewId) -> JsonCalls:
    return JsonCalls(MARKS, offered, new_id)


def force(tools: Sequence[ToolSpec], *, parallel: bool, token_id: TokenId) -> str:
    begin, end = call_grammar.marker(OPEN, token_id), call_grammar.marker(CLOSE, token_id)
    blocks = call_grammar.several("block", "\n", parallel=parallel)
    block = f'{begin} "\\n" call "\\n" {end}'
    return "\n".join([f"start: {blocks}", f"block: {block}", call_grammar.objects(tools, "arguments")])


def write(calls: Sequence[ParsedCall]) -> str:
    objects = [call_grammar.written(call.name, "arguments", call.arguments) for call in calls]
    return "\n".join(f"{OPEN}\n{one}\n{CLOSE}" for one in objects)


TOOL_FORMAT = ToolFormat(read, force, write, markers=(OPEN, CLOSE))
