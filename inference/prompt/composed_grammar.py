"""Grammars made of grammars: an answer after free reasoning, and calls of tools or else a form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from inference.cards.card import ReasoningTags
from inference.contracts import Constraint, Grammar, TokenIds
from inference.contracts.requests import JSON_FORM
from inference.prompt.tokenizer import Tokenizer
from inference.tool_formats import TokenId, call_grammar

JSON_OBJECT = Constraint(
    Grammar.LARK,
    r"""
start: object
object: "{" _LINE (pair (_NEXT pair)* _LINE)? "}"
array: "[" _LINE (value (_NEXT value)* _LINE)? "]"
pair: STRING _COLON value
value: object | array | STRING | NUMBER | "true" | "false" | "null"
STRING: /"([^"\\\x00-\x1F\x7F]|\\["\\bfnrt])*"/
NUMBER: /-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?([eE][-+]?[0-9]{1,2})?/
_COLON: /: ?/
_NEXT: /,( |\n[ \t]{0,32})?/
_LINE: /(\n[ \t]{0,32})?/
""",
)
"""Any JSON object, on one line or indented. White space is bounded: a weak model would write nothing else.
Numbers are finite in every parser. Escapes have one letter: models write other characters as they are, and
half a surrogate pair would not be text."""
MAX_BLANK_TOKENS = 8
"""Tokens of white space that a chat template may write after the tag it opens."""
RULE_START = re.compile(r"^start(?=\s*[:\[])", re.MULTILINE)


def object_unlike_calls(names: Sequence[str]) -> Constraint:
    """Return `JSON_OBJECT` without the objects whose first member is the name of one of the tools.

    It stands beside calls that are objects too, and have no mark to tell them apart by.
    """
    others = " | ".join(json.dumps(json.dumps(name)) for name in names)
    rules = [
        'start: "{" _LINE (first (_NEXT pair)* _LINE)? "}"',
        r'first: OTHER_KEY _COLON value | "\"name\"" _COLON other_value',
        'other_value: object | array | OTHER_TEXT | NUMBER | "true" | "false" | "null"',
        'OTHER_KEY: STRING & ~/"name"/',
        f"OTHER_TEXT: STRING & ~({others})",
    ]
    return Constraint(Grammar.LARK, "\n".join([*rules, JSON_OBJECT.source.replace("start: object\n", "")]))


def calls_or_form(calls: str, form: Constraint) -> Constraint:
    """Return the constraint of an answer that is calls, by the rules of a tool format, or else the form."""
    rules = ["start: tool_calls | form", _rule("tool_calls", Constraint(Grammar.LARK, calls))]
    return Constraint(Grammar.LARK, "\n".join([*rules, _rule("form", form)]))


def open_reasoning(prompt: TokenIds, tags: ReasoningTags, tokenizer: Tokenizer) -> str:
    """Return the end of a prompt from an opening tag on, empty unless only white space follows the tag."""
    end = tokenizer.decode(prompt[-len(tags.open.encode()) - MAX_BLANK_TOKENS :], special=True)
    return end[end.rindex(tags.open) :] if end.rstrip().endswith(tags.open) else ""


def after_reasoning(
    constraint: Constraint, tags: ReasoningTags, opened: str, token_id: TokenId
) -> Constraint:
    """Return the constraint of an output that is free reasoning and then the constrained answer.

    Where the prompt has `opened` the reasoning it must be closed first, else the output may do without.
    """
    optional = f"({call_grammar.marker(tags.open, token_id)} reasoning_block)?"
    start = f"start: {'reasoning_block' if opened else optional} constrained_answer"
    rules = [start, *_reasoning_rules(tags.close, token_id), _rule("constrained_answer", constraint)]
    return Constraint(Grammar.LARK, "\n".join(rules))


def _reasoning_rules(closing: str, token_id: TokenId) -> list[str]:
    """Return the rules of any text up to the closing tag, and up to two line breaks after it."""
    if token_id(closing) is None:
        end = f"reasoning_end[lazy]: /(?s:.*){_escape_slashes(re.escape(closing))}/"
    else:
        end = rf"reasoning_end: /(?s:.*)/ {call_grammar.marker(closing, token_id)}"
    return [r"reasoning_block: reasoning_end /\n{0,2}/", end]


def _rule(name: str, constraint: Constraint) -> str:
    """Return a constraint as the rule `name` and those below it."""
    match constraint.grammar:
        case Grammar.JSON_SCHEMA:
            schema = {**json.loads(constraint.source), "x-guidance": dict(JSON_FORM)}
            return f"{name}: %json {json.dumps(schema)}"
        case Grammar.REGEX:
            return f"{name}: /{_escape_slashes(constraint.source)}/"
        case Grammar.LARK:
            return RULE_START.sub(name, constraint.source, count=1)


def _escape_slashes(pattern: str) -> str:
    return re.sub(r"(?<!\\)((?:\\\\)*)/", r"\1\\/", pattern)


Made = TypeVar("Made")


class GrammarChecker(Protocol):
    """A compiler that knows if constraints can be enforced: `engine.grammar.Grammars`."""

    def check(self, constraint: Constraint) -> None:
        """Raise `ValueError` with the reason if the constraint cannot be enforced."""
        ...

    def refusal(self, constraint: Constraint) -> str | None:
        """Return that reason, or None; the constraint is only a probe, which no answer will have."""
        ...

    def accepts(self, constraint: Constraint, text: str) -> bool:
        """Return True if an answer of the constraint can start with the text."""
        ...

    def remembered(self, key: bytes, make: Callable[[], Made]) -> Made:
        """Return the result that `make` had for the same key before, else its result now."""
        ...
