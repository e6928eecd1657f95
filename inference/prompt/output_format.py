"""The constraint on a request's output: its format, a required tool call, and both after free reasoning."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from inference.api.generation import GenerationBody
from inference.api.tools import JsonObjectFormat, JsonSchemaFormat
from inference.api.validation import abridged
from inference.cards.card import Card, ReasoningTags
from inference.contracts import Constraint, Grammar, TokenIds
from inference.contracts.requests import JSON_FORM
from inference.errors import Location, Offender, ParameterNotSupported
from inference.prompt import lowering
from inference.prompt.forced_calls import forced_call, forced_schemas
from inference.prompt.json_schema import SchemaProblem, find_problem, locate_problem, repeats_problem
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
MAX_CHARACTERS = 10_000
"""Characters of a client's regex or Lark grammar."""
MAX_BLANK_TOKENS = 8
"""Tokens of white space that a chat template may write after the tag it opens."""
TOOL_CHOICE: Location = ("body", "tool_choice")
RESPONSE_FORMAT: Location = ("body", "response_format")


class GrammarChecker(Protocol):
    """A compiler that knows if constraints can be enforced: `engine.grammar.Grammars`."""

    def check(self, constraint: Constraint) -> None:
        """Raise `ValueError` with the reason if the constraint cannot be enforced."""
        ...

    def refusal(self, constraint: Constraint) -> str | None:
        """Return that reason, or None; the constraint is only a probe, which no answer will have."""
        ...


def output_constraint(
    request: GenerationBody,
    card: Card,
    prompt: TokenIds,
    tokenizer: Tokenizer,
    grammars: GrammarChecker | None,
) -> Constraint | None:
    """Return the constraint on the output, compiled once so that it cannot fail while the answer streams.

    Raises `ParameterNotSupported` or `InvalidInput` for parameters that contradict each other or that cannot
    be enforced.
    """
    constraint = format_constraint(request, grammars)
    if request.must_call:
        constraint = forced_call(request, lowering.tool_format_of(card), tokenizer.token_id)
        if constraint is not None and grammars is not None:
            _check_call(request, constraint, grammars)
    if constraint is None or card.reasoning is None or request.continues_prompt:
        return constraint
    opened = open_reasoning(prompt, card.reasoning, tokenizer)
    constraint = after_reasoning(constraint, card.reasoning, opened, tokenizer.token_id)
    if grammars is not None:
        _check(constraint, TOOL_CHOICE if request.must_call else RESPONSE_FORMAT, None, grammars)
    return constraint


# The format that a client requests: response_format and the guided_ parameters.


@dataclass(frozen=True, slots=True)
class FormatRequest:
    """A constraint and its location in the request."""

    constraint: Constraint
    loc: Location
    input: Any
    """The value that a refusal shows: the parameter's own, or the type of a `response_format`."""
    schema: dict[str, Any] | None = None
    """The JSON Schema of the constraint, where it has one."""


def format_constraint(request: GenerationBody, grammars: GrammarChecker | None) -> Constraint | None:
    """Return the constraint of the request's format, None where it sets none.

    Raises `ParameterNotSupported` for formats that contradict each other, cannot be enforced, or are no
    grammar.
    """
    requested = _single(list(_format_requests(request)))
    if requested is None:
        return None
    assert grammars is not None, "a card declares only parameters that its backend supports"
    if request.offered_tools:
        names = [tool.function.name for tool in request.offered_tools]
        raise _contradiction([requested.loc, ("body", "tools")], [requested.input, abridged(names)])
    _check_limits(requested)
    try:
        grammars.check(requested.constraint)
    except ValueError as error:
        raise _refused_format(requested, str(error), grammars) from None
    return requested.constraint


def _format_requests(request: GenerationBody) -> Iterator[FormatRequest]:
    yield from _response_formats(request.format)
    for name, grammar, source in (
        ("guided_regex", Grammar.REGEX, request.guided_regex),
        ("guided_choice", Grammar.LARK, _choice_grammar(request.guided_choice)),
        ("guided_grammar", Grammar.LARK, request.guided_grammar),
    ):
        if source is not None:
            yield FormatRequest(Constraint(grammar, source), ("body", name), getattr(request, name))


def _response_formats(response_format: Any) -> Iterator[FormatRequest]:
    kind = response_format if isinstance(response_format, str) else response_format and response_format.type
    if isinstance(response_format, JsonObjectFormat) and (wanted := response_format.schema_):
        source = json.dumps({"type": "object", **wanted}, ensure_ascii=False)
        yield FormatRequest(
            Constraint(Grammar.JSON_SCHEMA, source), (*RESPONSE_FORMAT, "schema"), kind, wanted
        )
    elif kind == "json_object":
        yield FormatRequest(JSON_OBJECT, RESPONSE_FORMAT, kind)
    if isinstance(response_format, JsonSchemaFormat):
        schema = response_format.json_schema.schema_
        source = json.dumps(schema, ensure_ascii=False)
        loc: Location = (*RESPONSE_FORMAT, "json_schema", "schema")
        yield FormatRequest(Constraint(Grammar.JSON_SCHEMA, source), loc, kind, schema)


def _choice_grammar(choices: list[str] | None) -> str | None:
    if choices is None:
        return None
    return f"start: CHOICE\nCHOICE: {' | '.join(json.dumps(text, ensure_ascii=False) for text in choices)}\n"


def _single(requested: list[FormatRequest]) -> FormatRequest | None:
    if len(requested) > 1:
        raise _contradiction([one.loc for one in requested], [abridged(one.input) for one in requested])
    return requested[0] if requested else None


def _check_limits(requested: FormatRequest) -> None:
    """Raise `ParameterNotSupported` for a format that is refused before anything is compiled."""
    if requested.schema is not None:
        _check_schema(requested.schema, requested.loc)
        return
    name, source = requested.loc[1], requested.input
    if name in ("guided_regex", "guided_grammar") and len(source) > MAX_CHARACTERS:
        message = f"{name} has {len(source)} characters, at most {MAX_CHARACTERS} are allowed"
        raise ParameterNotSupported([Offender(requested.loc, len(source), message)])
    if name == "guided_regex" and (problem := repeats_problem(source)):
        raise _refused(requested.loc, source, problem)


# The tool call that tool_choice requires.


def _check_call(request: GenerationBody, call: Constraint, grammars: GrammarChecker) -> None:
    """Raise `ParameterNotSupported` at the tool whose schema cannot be enforced."""
    offered = dict(request.located_tools())
    for loc, schema in forced_schemas(request):
        parameters = offered[loc[:3]].function.parameters
        if parameters is not None:
            _check_schema(parameters, loc)
        if (message := grammars.refusal(schema)) is not None:
            raise _refused(loc, parameters, message)
    choice = "required" if request.forced_choice == "required" else "function"
    _check(call, TOOL_CHOICE, choice, grammars)


# Reasoning, which stays free: the constraint is on the answer that follows it.


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
    rules = [start, *_reasoning_rules(tags.close, token_id), _answer_rule(constraint)]
    return Constraint(Grammar.LARK, "\n".join(rules))


def _reasoning_rules(closing: str, token_id: TokenId) -> list[str]:
    """Return the rules of any text up to the closing tag, and up to two line breaks after it."""
    if token_id(closing) is None:
        end = f"reasoning_end[lazy]: /(?s:.*){_escape_slashes(re.escape(closing))}/"
    else:
        end = rf"reasoning_end: /(?s:.*)/ {call_grammar.marker(closing, token_id)}"
    return [r"reasoning_block: reasoning_end /\n{0,2}/", end]


def _answer_rule(constraint: Constraint) -> str:
    match constraint.grammar:
        case Grammar.JSON_SCHEMA:
            schema = {**json.loads(constraint.source), "x-guidance": dict(JSON_FORM)}
            return f"constrained_answer: %json {json.dumps(schema)}"
        case Grammar.REGEX:
            return f"constrained_answer: /{_escape_slashes(constraint.source)}/"
        case Grammar.LARK:
            start = re.compile(r"^start(?=\s*[:\[])", re.MULTILINE)
            return start.sub("constrained_answer", constraint.source, count=1)


def _escape_slashes(pattern: str) -> str:
    return re.sub(r"(?<!\\)((?:\\\\)*)/", r"\1\\/", pattern)


# Checks and refusals.


def _check(constraint: Constraint, loc: Location, value: str | None, grammars: GrammarChecker) -> None:
    try:
        grammars.check(constraint)
    except ValueError as error:
        raise _refused(loc, value, str(error)) from None


def _check_schema(schema: dict[str, Any], loc: Location) -> None:
    """Raise `ParameterNotSupported` at the first part of a schema, at `loc`, that cannot be enforced."""
    if problem := find_problem(schema):
        raise _refused_schema(problem, loc)


def _contradiction(locs: Sequence[Location], values: Sequence[Any]) -> ParameterNotSupported:
    """Return the refusal of parameters that each define the whole output."""
    names = " and ".join(str(loc[1]) for loc in locs)
    message = f"{names} cannot be used together; send only one of them"
    return ParameterNotSupported(
        [Offender(loc, value, message) for loc, value in zip(locs, values, strict=True)]
    )


def _refused_format(
    requested: FormatRequest, message: str, grammars: GrammarChecker
) -> ParameterNotSupported:
    """Return the refusal of a format, at the part of its schema that is at fault."""
    if requested.schema is None:
        return _refused(requested.loc, requested.input, message)

    def refusal(schema: str) -> str | None:
        return grammars.refusal(Constraint(Grammar.JSON_SCHEMA, schema))

    return _refused_schema(locate_problem(requested.schema, refusal, message), requested.loc)


def _refused_schema(problem: SchemaProblem, loc: Location) -> ParameterNotSupported:
    return _refused((*loc, *problem.path), problem.value, problem.message)


def _refused(loc: Location, value: Any, message: str) -> ParameterNotSupported:
    return ParameterNotSupported([Offender(loc, abridged(value), message)])
