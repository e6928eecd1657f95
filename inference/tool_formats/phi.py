"""The format of Phi-4: `<|tool_call|>[{"name": ..., "arguments": {...}}, ...]<|/tool_call|>`.

The marks are tokens of their own in Phi-4-mini; where the vocabulary has none the text is `functools[...]`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from inference.tool_formats import call_grammar
from inference.tool_formats.json_calls import SPACE, CallMarks, JsonCallReader
from inference.tool_formats.tool_format import CallReader, NewId, ParsedCall, TokenId, ToolFormat, ToolSpec
from inference.tool_formats.unmarked_calls import UnmarkedCallReader

OPENING, CLOSING = "<|tool_call|>", "<|/tool_call|>"
FUNCTOOLS = "functools["
MARKS = CallMarks((OPENING, FUNCTOOLS), CLOSING, lead=SPACE + "[", tail=SPACE + "}]", separators=SPACE + ",")


def read(offered: Collection[str], new_id: NewId) -> CallReader:
    """Return a reader of calls of the offered tools."""
    return UnmarkedCallReader(JsonCallReader(MARKS, offered, new_id), offered, new_id)


def grammar(tools: Sequence[ToolSpec], *, parallel: bool, token_id: TokenId) -> str:
    """Return the grammar of a list between the model's marks, or after `functools` where it has none."""
    calls = call_grammar.one_or_more("call", ", ", parallel=parallel)
    if token_id(OPENING) is None:
        start = f'{call_grammar.literal(FUNCTOOLS)} {calls} "]"'
    else:
        opening, closing = call_grammar.marker(OPENING, token_id), call_grammar.marker(CLOSING, token_id)
        start = f'{opening} "[" {calls} "]" {closing}'
    return "\n".join([f"start: {start}", call_grammar.call_objects(tools, "arguments")])


def write(calls: Sequence[ParsedCall]) -> str:
    """Return the list of calls between the marks."""
    listed = ", ".join(call.to_json("arguments") for call in calls)
    return f"{OPENING}[{listed}]{CLOSING}"


def heads(_: Sequence[str]) -> tuple[str, ...]:
    """Return the marks of which one starts an answer of calls."""
    return (OPENING, FUNCTOOLS)


TOOL_FORMAT = ToolFormat(read, grammar, write, heads=heads, markers=(OPENING, CLOSING))
