"""The rules of a request's output: its format, tool calls, either of them, all after free reasoning."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import orjson

from inference.api.generation import GenerationBody
from inference.api.offenders import abridged
from inference.api.tools import FunctionTool, JsonObjectFormat, JsonSchemaFormat
from inference.cards.card import Card
from inference.contracts import Constraint, Grammar, TokenIds
from inference.errors import Location, Offender, ParameterNotSupported
from inference.prompt import lowering
from inference.prompt.composed_grammar import (
    JSON_OBJECT,
    GrammarChecker,
    after_reasoning,
    calls_or_form,
    object_unlike_calls,
    open_reasoning,
)
from inference.prompt.forced_calls import Holding, callable_tools, calls_grammar, hold_tools, tools_as_objects
from inference.prompt.held_schema import SchemaRefused, hold, hold_compiled
from inference.prompt.json_schema import SchemaProblem, repeats_problem
from inference.prompt.tokenizer import Tokenizer
from inference.tool_formats import TokenId, ToolFormat, ToolSpec, call_grammar

MAX_CHARACTERS = 10_000
"""Characters of a client's regex or Lark grammar."""
TOOL_CHOICE: Location = ("body", "tool_choice")
RESPONSE_FORMAT: Location = ("body", "response_format")


@dataclass(frozen=True, slots=True)
class OutputRules:
    """A constraint on the output, and facts about it for the stages that parse and answer."""

    constraint: Constraint
    unheld: tuple[str, ...] = ()
    """The places in the request, as clients write them, that generation does not hold."""
    heads: tuple[str, ...] = ()
    """The texts of which one starts an answer of calls, where it can also be a form."""


def output_rules(
    request: GenerationBody,
    card: Card,
    prompt: TokenIds,
    tokenizer: Tokenizer,
    grammars: GrammarChecker | None,
) -> OutputRules | None:
    """Return the rules of the output, compiled once so that they cannot fail while the answer streams.

    The rules of a kind of request are made once: what decides about them is the key under which the grammars
    remember them. Raises `ParameterNotSupported` or `InvalidInput` for parameters that contradict each other
    or that cannot be enforced.
    """
    tags = None if request.continues_prompt else card.reasoning
    opened = open_reasoning(prompt, tags, tokenizer) if tags else ""

    def make() -> OutputRules | None:
        rules = _answer_rules(request, lowering.tool_format_of(card), tokenizer.token_id, grammars)
        if rules is None or tags is None:
            return rules
        constraint = after_reasoning(rules.constraint, tags, opened, tokenizer.token_id)
        if grammars is not None:
            _check(constraint, TOOL_CHOICE if request.must_call else RESPONSE_FORMAT, None, grammars)
        return replace(rules, constraint=constraint)

    return make() if grammars is None else grammars.remembered(_key(request, opened), make)


def _key(request: GenerationBody, opened: str) -> bytes:
    """Return bytes that are equal for requests to one model that have the same rules."""
    offered = [tool.function for tool in request.offered_tools]
    tools = [(function.name, function.parameters, function.strict) for function in offered]
    choice = request.forced_choice
    named = choice if choice is None or isinstance(choice, str) else [choice.function.name]
    formats = [(each.loc, each.constraint.source, each.strict) for each in _format_requests(request)]
    return orjson.dumps([formats, tools, named, request.single_call, opened])


def _answer_rules(
    request: GenerationBody,
    tool_format: ToolFormat | None,
    token_id: TokenId,
    grammars: GrammarChecker | None,
) -> OutputRules | None:
    """Return the rules without reasoning: calls where they must come, a format, or calls and a format."""
    tools = callable_tools(request)
    rules = format_rules(request, grammars)
    if not tools or tool_format is None or (rules is None and not request.must_call):
        return rules
    return _CallRules(request, tools, tool_format, token_id, grammars).rules(rules)


@dataclass(frozen=True, slots=True)
class _CallRules:
    request: GenerationBody
    tools: tuple[FunctionTool, ...]
    tool_format: ToolFormat
    token_id: TokenId
    grammars: GrammarChecker | None

    def rules(self, form: OutputRules | None) -> OutputRules:
        """Return the rules of calls, or with a form of calls and the form.

        One tool whose schema cannot be compiled costs no other: what is wrong with it is found and left out.
        """
        problem = ""
        for specs, unheld in self._attempts():
            rules = self._joined(specs, form)
            try:
                if self.grammars is not None:
                    self.grammars.check(rules.constraint)
            except ValueError as error:
                problem = str(error)
            else:
                return replace(rules, unheld=(*rules.unheld, *map(_target, unheld)))
        choice = self.request.forced_choice or "auto"
        raise _refused(TOOL_CHOICE, choice if isinstance(choice, str) else "function", problem)

    def _attempts(self) -> Iterator[tuple[list[ToolSpec], list[Location]]]:
        """Yield the tools with all of their schemas that may be held, with all that is, with their types."""
        yield self._held(hold)
        if self.grammars is not None:
            yield self._held(partial(hold_compiled, refusal=_refusal(self.grammars)))
            yield tools_as_objects(self.request, self.tools)

    def _held(self, holding: Holding) -> tuple[list[ToolSpec], list[Location]]:
        try:
            return hold_tools(self.request, self.tools, holding)
        except SchemaRefused as refused:
            raise _refused_schema(refused.problem, refused.loc) from None

    def _joined(self, specs: Sequence[ToolSpec], form: OutputRules | None) -> OutputRules:
        calls = calls_grammar(self.request, specs, self.tool_format, self.token_id)
        if form is None:
            return OutputRules(Constraint(Grammar.LARK, calls))
        names = [tool.name for tool in specs]
        mark, constraint = self.tool_format.optional_mark, form.constraint
        if mark and constraint == JSON_OBJECT:
            constraint = object_unlike_calls(names)
        heads = self.tool_format.heads(names)
        if mark and any(self._accepts(constraint, head) for head in heads):
            # The form may be written as a call is: then only the mark tells a call from it.
            heads, calls = (mark,), call_grammar.after_mark(mark, calls, self.token_id)
        return replace(form, constraint=calls_or_form(calls, constraint), heads=heads)

    def _accepts(self, constraint: Constraint, start: str) -> bool:
        return self.grammars is not None and self.grammars.accepts(constraint, start)


def _refusal(grammars: GrammarChecker) -> Callable[[dict[str, Any]], str | None]:
    def refusal(schema: dict[str, Any]) -> str | None:
        return grammars.refusal(Constraint(Grammar.JSON_SCHEMA, json.dumps(schema, ensure_ascii=False)))

    return refusal


def _target(loc: Location) -> str:
    return Offender(loc, None, "").target


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
    strict: bool = False
    """True if the schema is held whole or refused."""


def format_rules(request: GenerationBody, grammars: GrammarChecker | None) -> OutputRules | None:
    """Return the rules of the request's format, None where it sets none or a call must come instead.

    Raises `ParameterNotSupported` for formats that contradict each other, cannot be enforced, or are no
    grammar.
    """
    requested = _single(list(_format_requests(request)))
    if requested is None:
        return None
    if request.offered_tools and requested.loc[:2] != RESPONSE_FORMAT:
        names = [tool.function.name for tool in request.offered_tools]
        raise _contradiction([requested.loc, ("body", "tools")], [requested.input, abridged(names)])
    if request.must_call:
        return None
    assert grammars is not None, "a card declares only parameters that its backend supports"
    if requested.schema is not None:
        return _schema_rules(requested, requested.schema, grammars)
    _check_limits(requested)
    _check(requested.constraint, requested.loc, requested.input, grammars)
    return OutputRules(requested.constraint)


def _schema_rules(requested: FormatRequest, schema: dict[str, Any], grammars: GrammarChecker) -> OutputRules:
    try:
        held = hold(schema, strict=requested.strict)
        constraint = _schema_constraint(held.schema)
        if grammars.refusal(constraint) is not None:
            held = hold_compiled(schema, _refusal(grammars), strict=requested.strict)
            constraint = _schema_constraint(held.schema)
    except SchemaRefused as refused:
        raise _refused_schema(refused.problem, requested.loc) from None
    _check(constraint, requested.loc, requested.input, grammars)
    return OutputRules(constraint, tuple(_target((*requested.loc, *path)) for path in held.unheld))


def _schema_constraint(schema: dict[str, Any]) -> Constraint:
    return Constraint(Grammar.JSON_SCHEMA, json.dumps(schema, ensure_ascii=False))


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
        schema = {"type": "object", **wanted}
        yield FormatRequest(_schema_constraint(schema), (*RESPONSE_FORMAT, "schema"), kind, schema)
    elif kind == "json_object":
        yield FormatRequest(JSON_OBJECT, RESPONSE_FORMAT, kind)
    if isinstance(response_format, JsonSchemaFormat):
        schema = response_format.json_schema.schema_
        source = orjson.dumps(schema).decode()
        loc: Location = (*RESPONSE_FORMAT, "json_schema", "schema")
        strict = bool(response_format.json_schema.strict)
        yield FormatRequest(Constraint(Grammar.JSON_SCHEMA, source), loc, kind, schema, strict)


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
    name, source = requested.loc[1], requested.input
    if name in ("guided_regex", "guided_grammar") and len(source) > MAX_CHARACTERS:
        message = f"{name} has {len(source)} characters, at most {MAX_CHARACTERS} are allowed"
        raise ParameterNotSupported([Offender(requested.loc, len(source), message)])
    if name == "guided_regex" and (problem := repeats_problem(source)):
        raise _refused(requested.loc, source, problem)


# Checks and refusals.


def _check(constraint: Constraint, loc: Location, value: Any, grammars: GrammarChecker) -> None:
    try:
        grammars.check(constraint)
    except ValueError as error:
        raise _refused(loc, value, str(error)) from None


def _contradiction(locs: Sequence[Location], values: Sequence[Any]) -> ParameterNotSupported:
    """Return the refusal of parameters that each define the whole output."""
    names = " and ".join(str(loc[1]) for loc in locs)
    message = f"{names} cannot be used together; send only one of them"
    return ParameterNotSupported(
        [Offender(loc, value, message) for loc, value in zip(locs, values, strict=True)]
    )


def _refused_schema(problem: SchemaProblem, loc: Location) -> ParameterNotSupported:
    return _refused((*loc, *problem.path), problem.value, problem.message)


def _refused(loc: Location, value: Any, message: str) -> ParameterNotSupported:
    return ParameterNotSupported([Offender(loc, abridged(value), message)])
