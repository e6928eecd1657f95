"""From what a request says about the form of its answer to the `Constraint` that the answer is held to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from inference.api.generation import GenerationBody
from inference.api.tools import JsonSchemaFormat
from inference.api.validation import abridged
from inference.cards.card import Card, ReasoningTags
from inference.contracts import Constraint, Grammar, TokenIds
from inference.contracts.requests import JSON_FORM
from inference.errors import Location, Offender, ParameterNotSupported
from inference.prompt import lowering
from inference.prompt.forced_calls import forced_call, forced_schemas
from inference.prompt.json_schema import Offence, culprit, offence, repeats_problem
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
"""Any JSON object, on one line or indented, whose blanks are bounded: a weak model would write nothing else.
Its numbers are ones that every parser holds to be finite. Of escapes there are those of one letter: models
write other characters as they are, and half a surrogate pair would be no text."""
MOST_CHARACTERS = 10_000
"""Of a regex or a Lark grammar that a caller wrote."""


class GrammarChecker(Protocol):
    """Says whether a model can be held to a constraint: `engine.grammar.Grammars`."""

    def check(self, constraint: Constraint) -> None:
        """Raises `ValueError` with a sentence."""
        ...

    def refusal(self, constraint: Constraint) -> str | None:
        """That sentence, or None; of a constraint that nobody asked for."""
        ...


@dataclass(frozen=True, slots=True)
class FormatRequest:
    """A constraint and where the request asks for it."""

    constraint: Constraint
    loc: Location
    input: Any
    """What a refusal shows: of a `response_format` its type."""
    schema: dict[str, Any] | None = None


def constraint_of(request: GenerationBody, grammars: GrammarChecker | None) -> Constraint | None:
    """What the answer is held to, compiled once so that nothing is left to fail when it has begun.

    Raises `ParameterNotSupported` for what contradicts itself, cannot be enforced, or is no grammar.
    """
    asked = _one(list(_asked(request)))
    if asked is None:
        return None
    assert grammars is not None, "a card declares what its backend honours"
    if request.offered_tools:
        raise contradiction([asked.loc, ("body", "tools")], [asked.input, abridged(_tools(request))])
    _within(asked)
    try:
        grammars.check(asked.constraint)
    except ValueError as error:
        raise _refused(asked, str(error), grammars) from None
    return asked.constraint


def contradiction(places: Sequence[Location], values: Sequence[Any]) -> ParameterNotSupported:
    """The refusal of parameters that each say what the whole answer is to be."""
    message = f"{' and '.join(str(loc[1]) for loc in places)} cannot be asked for together"
    return ParameterNotSupported(
        [Offender(loc, value, message) for loc, value in zip(places, values, strict=True)]
    )


def refuse_schema(schema: dict[str, Any], loc: Location) -> None:
    """Raises `ParameterNotSupported` at the first part of a schema, at `loc`, that cannot be enforced."""
    if found := offence(schema):
        raise _offended(found, loc)


def refused(error: ValueError, loc: Location, value: Any) -> ParameterNotSupported:
    """The refusal of a grammar as a whole."""
    return ParameterNotSupported([Offender(loc, abridged(value), str(error))])


def _asked(request: GenerationBody) -> Iterator[FormatRequest]:
    yield from _of_format(request.format)
    for name, grammar, source in (
        ("guided_regex", Grammar.REGEX, request.guided_regex),
        ("guided_choice", Grammar.LARK, _choice(request.guided_choice)),
        ("guided_grammar", Grammar.LARK, request.guided_grammar),
    ):
        if source is not None:
            yield FormatRequest(Constraint(grammar, source), ("body", name), getattr(request, name))


def _of_format(asked: Any) -> Iterator[FormatRequest]:
    kind = asked if isinstance(asked, str) else asked and asked.type
    loc: Location = ("body", "response_format")
    if kind == "json_object":
        yield FormatRequest(JSON_OBJECT, loc, kind)
    if isinstance(asked, JsonSchemaFormat):
        schema = asked.json_schema.schema_
        source = json.dumps(schema, ensure_ascii=False)
        place: Location = (*loc, "json_schema", "schema")
        yield FormatRequest(Constraint(Grammar.JSON_SCHEMA, source), place, kind, schema)


def _choice(choices: list[str] | None) -> str | None:
    if choices is None:
        return None
    return f"start: CHOICE\nCHOICE: {' | '.join(json.dumps(text, ensure_ascii=False) for text in choices)}\n"


def _one(asked: list[FormatRequest]) -> FormatRequest | None:
    if len(asked) > 1:
        raise contradiction([one.loc for one in asked], [abridged(one.input) for one in asked])
    return asked[0] if asked else None


def _within(asked: FormatRequest) -> None:
    """Raises `ParameterNotSupported` for what is refused before anything is compiled."""
    if asked.schema is not None:
        refuse_schema(asked.schema, asked.loc)
        return
    name, source = asked.loc[1], asked.input
    if name in ("guided_regex", "guided_grammar") and len(source) > MOST_CHARACTERS:
        long = f"{name} has {len(source)} characters, at most {MOST_CHARACTERS} are taken"
        raise ParameterNotSupported([Offender(asked.loc, len(source), long)])
    if name == "guided_regex" and (message := repeats_problem(source)):
        raise ParameterNotSupported([Offender(asked.loc, abridged(source), message)])


def _refused(asked: FormatRequest, message: str, grammars: GrammarChecker) -> ParameterNotSupported:
    if asked.schema is None:
        return ParameterNotSupported([Offender(asked.loc, abridged(asked.input), message)])

    def refusal(schema: str) -> str | None:
        return grammars.refusal(Constraint(Grammar.JSON_SCHEMA, schema))

    return _offended(culprit(asked.schema, refusal, message), asked.loc)


def _offended(found: Offence, loc: Location) -> ParameterNotSupported:
    return ParameterNotSupported([Offender((*loc, *found.path), abridged(found.value), found.message)])


def _tools(request: GenerationBody) -> list[str]:
    return [tool.function.name for tool in request.offered_tools]


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


CHOICE: Location = ("body", "tool_choice")


def constraint_of_request(
    request: GenerationBody,
    card: Card,
    prompt: TokenIds,
    tokenizer: Tokenizer,
    grammars: GrammarChecker | None,
) -> Constraint | None:
    """What the answer is held to, compiled once so that nothing is left to fail when it has begun.

    Raises `ParameterNotSupported` or `InvalidInput` for what contradicts itself or cannot be enforced.
    """
    asked = constraint_of(request, grammars)
    if request.must_call:
        asked = forced_call(request, lowering.dialect_of(card), tokenizer.token_id)
        if asked is not None and grammars is not None:
            _check_call(request, asked, grammars)
    if asked is None or card.reasoning is None or request.continues_prompt:
        return asked
    opened = begun(prompt, card.reasoning, tokenizer)
    behind = after_thoughts(asked, card.reasoning, opened, tokenizer.token_id)
    if grammars is not None:
        _check(behind, CHOICE if request.must_call else ("body", "response_format"), None, grammars)
    return behind


def _check_call(request: GenerationBody, call: Constraint, grammars: GrammarChecker) -> None:
    """Raises `ParameterNotSupported` at the tool whose schema cannot be enforced."""
    for loc, schema in forced_schemas(request):
        parameters = request.offered_tools[int(loc[2])].function.parameters
        if parameters is not None:
            refuse_schema(parameters, loc)
        if (message := grammars.refusal(schema)) is not None:
            raise refused(ValueError(message), loc, parameters)
    _check(call, CHOICE, "required" if request.forced_choice == "required" else "function", grammars)


def _check(constraint: Constraint, loc: Location, value: str | None, grammars: GrammarChecker) -> None:
    try:
        grammars.check(constraint)
    except ValueError as error:
        raise refused(error, loc, value) from None
