"""The dialect of Phi-4: `<|tool_call|>[{"name": ..., "arguments": {...}}, ...]<|/tool_call|>`.

The marks are tokens of their own in Phi-4-mini; where the vocabulary has none the text is `functools[...]`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from inference.tool_formats import call_grammar
from inference.tool_formats.json_calls import SPACE, CallMarks, JsonCalls
from inference.tool_formats.tool_format import NewId, ParsedCall, TokenId, ToolFormat, ToolSpec

OPEN, CLOSE = "<|tool_call|>", "<|/tool_call|>"
FUNCTOOLS = "functools["
MARKS = CallMarks((OPEN, FUNCTOOLS), CLOSE, lead=SPACE + "[", tail=SPACE + "}]", between=SPACE + ",")


def read(offered: Collection[str], new_id: NewId) -> JsonCalls:
    return JsonCalls(MARKS, offered, new_id)


def force(tools: Sequence[ToolSpec], *, parallel: bool, token_id: TokenId) -> str:
    calls = call_grammar.several("call", ", ", parallel=parallel)
    start = f'{call_grammar.literal(FUNCTOOLS)} {calls} "]"'
    if token_id(OPEN) is not None:
        start = (
            f'{call_grammar.marker(OPEN, token_id)} "[" {calls} "]" {call_grammar.marker(CLOSE, token_id)}'
        )
    return "\n".join([f"start: {start}", call_grammar.objects(tools, "arguments")])


def write(calls: Sequence[ParsedCall]) -> str:
    listed = ", ".join(call_grammar.written(call.name, "arguments", call.arguments) for call in calls)
    return f"{OPEN}[{listed}]{CLOSE}"


TOOL_FORMAT = ToolFormat(read, force, write, markers=(OPEN, CLOSE))
