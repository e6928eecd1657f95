"""The JSON dialect of Llama 3.1, 3.2 and 3.3: the answer is `{"name": ..., "parameters": {...}}`.

`<|python_tag|>` may stand before it. Several calls are parted by `; ` or a line break.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from inference.tool_formats import call_grammar
from inference.tool_formats.json_calls import SPACE, CallMarks, JsonCalls
from inference.tool_formats.tool_format import NewId, ParsedCall, TokenId, ToolFormat, ToolSpec

PYTHON_TAG = "<|python_tag|>"
SEPARATOR = "; "
MARKS = CallMarks((PYTHON_TAG,), between=SPACE + ";,", bare=True)


def read(offered: Collection[str], new_id: NewId) -> JsonCalls:
    return JsonCalls(MARKS, offered, new_id)


def force(tools: Sequence[ToolSpec], *, parallel: bool, token_id: TokenId) -> str:  # noqa: ARG001 - no marks
    calls = call_grammar.several("call", SEPARATOR, parallel=parallel)
    return "\n".join([f"start: {calls}", call_grammar.objects(tools, "parameters")])


def write(calls: Sequence[ParsedCall]) -> str:
    return SEPARATOR.join(call_grammar.written(call.name, "parameters", call.arguments) for call in calls)


TOOL_FORMAT = ToolFormat(read, force, write, markers=(PYTHON_TAG,))
