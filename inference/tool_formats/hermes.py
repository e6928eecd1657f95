"""The hermes format: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, one block a call.

The Nous Research Hermes models, Qwen2.5 and Qwen3 write it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from inference.tool_formats import call_grammar
from inference.tool_formats.json_calls import CallMarks, JsonCallReader
from inference.tool_formats.tool_format import CallReader, NewId, ParsedCall, TokenId, ToolFormat, ToolSpec
from inference.tool_formats.unmarked_calls import UnmarkedCallReader

OPENING, CLOSING = "<tool_call>", "</tool_call>"
MARKS = CallMarks((OPENING,), CLOSING)


def read(offered: Collection[str], new_id: NewId) -> CallReader:
    """Return a reader of calls of the offered tools."""
    return UnmarkedCallReader(JsonCallReader(MARKS, offered, new_id), offered, new_id)


def grammar(tools: Sequence[ToolSpec], *, parallel: bool, token_id: TokenId) -> str:
    """Return the grammar of one block, or with `parallel` of blocks on lines of their own."""
    opening, closing = call_grammar.marker(OPENING, token_id), call_grammar.marker(CLOSING, token_id)
    blocks = call_grammar.one_or_more("block", "\n", parallel=parallel)
    block = f'{opening} "\\n" call "\\n" {closing}'
    return "\n".join([f"start: {blocks}", f"block: {block}", call_grammar.call_objects(tools, "arguments")])


def write(calls: Sequence[ParsedCall]) -> str:
    """Return the blocks of calls."""
    return "\n".join(f"{OPENING}\n{call.to_json('arguments')}\n{CLOSING}" for call in calls)


def heads(_: Sequence[str]) -> tuple[str, ...]:
    """Return the mark that starts an answer of calls."""
    return (OPENING,)


TOOL_FORMAT = ToolFormat(read, grammar, write, heads=heads, markers=(OPENING, CLOSING))
