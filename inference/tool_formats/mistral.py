"""The two dialects of Mistral's models behind `[TOOL_CALLS]`; a vocabulary with `[ARGS]` has the newer one.

Up to version 3 of their tokenizers, and in Tekken's first versions, a list follows, `[{"name": ...,
"arguments": {...}}, ...]`; later the mark stands before every call, `[TOOL_CALLS]name[ARGS]{...}`. Ids of
calls have nine letters and digits, and the chat templates refuse any other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence

from inference.tool_formats import call_grammar
from inference.tool_formats.json_calls import SPACE, CallMarks, JsonCalls
from inference.tool_formats.tool_format import (
    ALPHABET,
    NewId,
    ParsedCall,
    TokenId,
    ToolFormat,
    ToolSpec,
    drawn,
)

OPEN, ARGUMENTS, CALL_ID = "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"
MARKS = CallMarks((OPEN,), lead=SPACE + "[", tail=SPACE + "}]", between=SPACE + ",")
NAMED = re.compile(r"\s*([a-zA-Z0-9_-]{1,64})(?:\[CALL_ID\][a-zA-Z0-9_-]*)?(?:\[ARGS\])?\s*")
LONGEST = 160
"""Characters between the mark and the arguments' brace."""
ID = re.compile("[a-zA-Z0-9]{9}")


class Mistral(JsonCalls):
    """Reads both: a name, or else a list."""

    def _lead(self) -> bool:
        brace = self._buffer.find("{", len(OPEN), len(OPEN) + LONGEST)
        if brace < 0:
            return len(self._buffer) >= len(OPEN) + LONGEST and self._no_call(len(OPEN))
        match = NAMED.fullmatch(self._buffer, len(OPEN), brace)
        if match is None:
            return super()._lead()
        if match[1] not in self._offered:
            return self._no_call(brace)
        self._start(match[1], brace, inside=False)
        return self._enter(self._arguments)


def read(offered: Collection[str], new_id: NewId) -> JsonCalls:
    return Mistral(MARKS, offered, new_id)


def force(tools: Sequence[ToolSpec], *, parallel: bool, token_id: TokenId) -> str:
    begin = call_grammar.marker(OPEN, token_id)
    if token_id(ARGUMENTS) is None:
        calls = call_grammar.several("call", ", ", parallel=parallel)
        return "\n".join([f'start: {begin} "[" {calls} "]"', call_grammar.objects(tools, "arguments")])
    between = call_grammar.marker(ARGUMENTS, token_id)
    bodies = [
        f"{begin} {call_grammar.literal(tool.name)} {between} {call_grammar.arguments(tool)}"
        for tool in tools
    ]
    return "\n".join(
        [f"start: {call_grammar.several('call', '', parallel=parallel)}", call_grammar.choice("call", bodies)]
    )


def write(calls: Sequence[ParsedCall]) -> str:
    listed = ", ".join(call_grammar.written(call.name, "arguments", call.arguments) for call in calls)
    return f"{OPEN} [{listed}]"


def new_id() -> str:
    return drawn(9)


def own_id(known: str) -> str:
    """The id itself where the templates take it, else nine characters that stand for it."""
    if ID.fullmatch(known):
        return known
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in hashlib.sha256(known.encode()).digest()[:9])


TOOL_FORMAT = ToolFormat(read, force, write, markers=(OPEN, ARGUMENTS, CALL_ID), new_id=new_id, own_id=own_id)
