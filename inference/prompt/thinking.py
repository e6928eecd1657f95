"""What of an answer's thoughts is settled by its prompt."""

from __future__ import annotations

import json
import re

from inference.cards.card import ReasoningTags
from inference.contracts import Constraint, Grammar, TokenIds
from inference.json_form import JSON_FORM
from inference.prompt.tokenizer import Tokenizer
from inference.tool_formats import TokenId, call_grammar

BLANKS = 8
"""Tokens of white space that a template may write behind the tag it opens."""


def begun(prompt: TokenIds, tags: ReasoningTags, tokenizer: Tokenizer) -> str:
    """The prompt's end from an opening tag on, where nothing but white space follows it; else empty."""
    end = tokenizer.decode(prompt[-len(tags.open.encode()) - BLANKS :], special=True)
    return end[end.rindex(tags.open) :] if end.rstrip().endswith(tags.open) else ""


def after_thoughts(constraint: Constraint, tags: ReasoningTags, begun: str, token_id: TokenId) -> Constraint:
    """The same constraint of what follows the thoughts, which stay free.

    Where the prompt has opened them they must be closed first, else the answer may do without.
    """
    optional = f"({call_grammar.marker(tags.open, token_id)} thoughts)?"
    start = f"start: {'thoughts' if begun else optional} answer"
    return Constraint(Grammar.LARK, "\n".join([start, *_thoughts(tags.close, token_id), _answer(constraint)]))


def _thoughts(close: str, token_id: TokenId) -> list[str]:
    """Any text up to the closing tag, and up to two line breaks behind it."""
    if token_id(close) is None:
        ended = f"ended[lazy]: /(?s:.*){_inside_slashes(re.escape(close))}/"
    else:
        ended = rf"ended: /(?s:.*)/ {call_grammar.marker(close, token_id)}"
    return [r"thoughts: ended /\n{0,2}/", ended]


def _answer(constraint: Constraint) -> str:
    match constraint.grammar:
        case Grammar.JSON_SCHEMA:
            schema = {**json.loads(constraint.source), "x-guidance": dict(JSON_FORM)}
            return f"answer: %json {json.dumps(schema)}"
        case Grammar.REGEX:
            return f"answer: /{_inside_slashes(constraint.source)}/"
        case Grammar.LARK:
            return re.sub(r"^start(?=\s*[:\[])", "answer", constraint.source, count=1, flags=re.MULTILINE)


def _inside_slashes(pattern: str) -> str:
    return re.sub(r"(?<!\\)((?:\\\\)*)/", r"\1\\/", pattern)
