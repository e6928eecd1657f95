"""The JSON dialect of Llama 3.1, 3.2 and 3.3: the answer is `{"name": ..., "parameters": {...}}`.

`<|python_tag|>` may stand before it. Several calls are parted by `; ` or a line break.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from inference.dialects import grammar
from inference.dialects.dialect import Call, Dialect, NewId, TokenId, Tool
from inference.dialects.json_calls import SPACE, JsonCalls, Marks

PYTHON_TAG = "<|python_tag|>"
SEPARATOR = "; "
MARKS = Marks((PYTHON_TAG,), between=SPACE + ";,", bare=True)


def read(offered: Collection[str], new_id: NewId) -> JsonCalls:
    return JsonCalls(MARKS, offered, new_id)


def force(tools: Sequence[Tool], *, parallel: bool, token_id: TokenId) -> str:  # noqa: ARG001 - no marks
    calls = grammar.several("call", SEPARATOR, parallel=parallel)
    return "\n".join([f"start: {calls}", grammar.objects(tools, "parameters")])


def write(calls: Sequence[Call]) -> str:
    return SEPARATOR.join(grammar.written(call.name, "parameters", call.arguments) for call in calls)


DIALECT = Dialect(read, force, write, markers=(PYTHON_TAG,))
