"""What the form of an answer must be, whoever asks for it: a call that must come, or a format."""

from __future__ import annotations

from inference.api.chat import ChatRequest, NamedToolChoice
from inference.api.completions import GenerationBody
from inference.cards.card import Card
from inference.contracts import Constraint, TokenIds
from inference.errors import Location
from inference.prompt import lowering, thinking
from inference.prompt.constraint import GrammarChecker, constrains, constraint_of, refuse_schema, refused
from inference.prompt.forced_calls import forced_call, forced_schemas
from inference.prompt.tokenizer import Tokenizer

CHOICE: Location = ("body", "tool_choice")


def is_constrained(request: GenerationBody) -> bool:
    """Whether the request says anything about its answer's form, and so takes time to look at."""
    return constrains(request) or _must_call(request)


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
    if isinstance(request, ChatRequest) and _must_call(request):
        asked = forced_call(request, lowering.dialect_of(card), tokenizer.token_id)
        if asked is not None and grammars is not None:
            _check_call(request, asked, grammars)
    if asked is None or card.reasoning is None or not isinstance(request, ChatRequest):
        return asked
    begun = thinking.begun(prompt, card.reasoning, tokenizer)
    behind = thinking.after_thoughts(asked, card.reasoning, begun, tokenizer.token_id)
    if grammars is not None:
        _check(behind, CHOICE if _must_call(request) else ("body", "response_format"), None, grammars)
    return behind


def _must_call(request: GenerationBody) -> bool:
    if not isinstance(request, ChatRequest):
        return False
    return request.tool_choice == "required" or isinstance(request.tool_choice, NamedToolChoice)


def _check_call(request: ChatRequest, call: Constraint, grammars: GrammarChecker) -> None:
    """Raises `ParameterNotSupported` at the tool whose schema cannot be enforced."""
    for loc, schema in forced_schemas(request):
        parameters = (request.tools or ())[int(loc[2])].function.parameters
        if parameters is not None:
            refuse_schema(parameters, loc)
        if (message := grammars.refusal(schema)) is not None:
            raise refused(ValueError(message), loc, parameters)
    _check(call, CHOICE, request.tool_choice if request.tool_choice == "required" else "function", grammars)


def _check(constraint: Constraint, loc: Location, value: str | None, grammars: GrammarChecker) -> None:
    try:
        grammars.check(constraint)
    except ValueError as error:
        raise refused(error, loc, value) from None
