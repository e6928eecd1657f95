"""The two formats of Mistral's models after `[TOOL_CALLS]`; a vocabulary with `[ARGS]` has the newer one.

Up to version 3 of their tokenizers, and in Tekken's first versions, a list follows, `[{"name": ...,
"arguments": {...}}, ...]`; later the mark stands before every call, `[TOOL_CALLS]name[ARGS]{...}`. Ids of
calls have nine letters and digits, and the chat templates refuse any other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence

from inference.tool_formats import call_grammar
from inference.tool_formats.json_calls import SPACE, CallMarks, JsonCallReader
from inference.tool_formats.tool_format import (
    ALPHABET,
    CallReader,
    NewId,
    ParsedCall,
    TokenId,
    ToolFormat,
    ToolSpec,
    random_id,
)
from inference.tool_formats.unmarked_calls import UnmarkedCallReader

OPENING, ARGUMENTS, CALL_ID = "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"
MARKS = CallMarks((OPENING,), lead=SPACE + "[", tail=SPACE + "}]", separators=SPACE + ",")
NAMED = re.compile(r"\s*([a-zA-Z0-9_-]{1,64})(?:\[CALL_ID\][a-zA-Z0-9_-]*)?(?:\[ARGS\])?\s*")
"""The text between the mark and the arguments' brace in the newer format."""
CUT_NAME = re.compile(r"\[TOOL_CALLS\]\s*([a-zA-Z0-9_-]{1,64})\[")
"""The newer format up to the mark after a call's name."""
MAX_NAMED_LENGTH = 160
"""Characters between the mark and the arguments' brace."""
ID_LENGTH = 9
ID = re.compile(rf"[a-zA-Z0-9]{{{ID_LENGTH}}}")


class MistralCallReader(JsonCallReader):
    """A reader of both formats: after the mark comes a name, or else a list."""

    def _before_object(self) -> bool:
        end = len(OPENING) + MAX_NAMED_LENGTH
        brace = self._buffer.find("{", len(OPENING), end)
        if brace < 0:
            return len(self._buffer) >= end and self._reject(len(OPENING))
        match = NAMED.fullmatch(self._buffer, len(OPENING), brace)
        if match is None:
            return super()._before_object()
        if match[1] not in self._offered:
            return self._reject(brace)
        self._start_call(match[1], brace, object_open=False)
        return self._enter(self._in_arguments)

    def _cut_name(self) -> str | None:
        match = CUT_NAME.match(self._buffer) if self._state == self._before_object else None
        return match[1] if match else super()._cut_name()


def read(offered: Collection[str], new_id: NewId) -> CallReader:
    """Return a reader of calls of the offered tools."""
    return UnmarkedCallReader(MistralCallReader(MARKS, offered, new_id), offered, new_id)


def grammar(tools: Sequence[ToolSpec], *, parallel: bool, token_id: TokenId) -> str:
    """Return the grammar of a list, or of named calls where the vocabulary has `[ARGS]`."""
    opening = call_grammar.marker(OPENING, token_id)
    if token_id(ARGUMENTS) is None:
        calls = call_grammar.one_or_more("call", ", ", parallel=parallel)
        return "\n".join([f'start: {opening} "[" {calls} "]"', call_grammar.call_objects(tools, "arguments")])
    between = call_grammar.marker(ARGUMENTS, token_id)
    bodies = [
        f"{opening} {call_grammar.literal(tool.name)} {between} {call_grammar.arguments(tool)}"
        for tool in tools
    ]
    start = f"start: {call_grammar.one_or_more('call', '', parallel=parallel)}"
    return "\n".join([start, call_grammar.alternatives("call", bodies)])


def write(calls: Sequence[ParsedCall]) -> str:
    """Return the list of calls, which models of both formats know."""
    listed = ", ".join(call.to_json("arguments") for call in calls)
    return f"{OPENING} [{listed}]"


def new_id() -> str:
    """Return nine random letters and digits."""
    return random_id(ID_LENGTH)


def template_id(call_id: str) -> str:
    """Return the id itself where the chat templates accept it, else nine characters of its hash."""
    if ID.fullmatch(call_id):
        return call_id
    digest = hashlib.sha256(call_id.encode()).digest()[:ID_LENGTH]
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest)


def heads(_: Sequence[str]) -> tuple[str, ...]:
    """Return the mark that starts an answer of calls."""
    return (OPENING,)


TOOL_FORMAT = ToolFormat(
    read,
    grammar,
    write,
    heads=heads,
    markers=(OPENING, ARGUMENTS, CALL_ID),
    new_id=new_id,
    template_id=template_id,
)
