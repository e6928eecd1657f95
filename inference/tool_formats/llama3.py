"""The JSON format of Llama 3.1, 3.2 and 3.3: the answer is `{"name": ..., "parameters": {...}}`.

`<|python_tag|>` may stand before it. Several calls are separated by `; ` or a line break.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from inference.tool_formats import call_grammar
from inference.tool_formats.json_calls import SPACE, CallMarks, JsonCallReader
from inference.tool_formats.tool_format import CallReader, NewId, ParsedCall, TokenId, ToolFormat, ToolSpec
from inference.tool_formats.unmarked_calls import UnmarkedCallReader

PYTHON_TAG = "<|python_tag|>"
SEPARATOR = "; "
MARKS = CallMarks((PYTHON_TAG,), separators=SPACE + ";,", bare=True)


def read(offered: Collection[str], new_id: NewId) -> CallReader:
    """Return a reader of calls of the offered tools."""
    return UnmarkedCallReader(JsonCallReader(MARKS, offered, new_id), offered, new_id, objects=False)


def grammar(tools: Sequence[ToolSpec], *, parallel: bool, token_id: TokenId) -> str:  # noqa: ARG001 - no marks
    """Return the grammar of one object, or with `parallel` of several."""
    calls = call_grammar.one_or_more("call", SEPARATOR, parallel=parallel)
    return "\n".join([f"start: {calls}", call_grammar.bare_call_objects(tools, "parameters")])


def write(calls: Sequence[ParsedCall]) -> str:
    """Return the objects of calls."""
    return SEPARATOR.join(call.to_json("parameters") for call in calls)


def heads(names: Sequence[str]) -> tuple[str, ...]:
    """Return the start of a call of each tool."""
    return tuple(f'{{"name": {json.dumps(name)}, "parameters": ' for name in names)


TOOL_FORMAT = ToolFormat(read, grammar, write, heads=heads, markers=(PYTHON_TAG,), optional_mark=PYTHON_TAG)
