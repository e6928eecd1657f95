"""Requests for text over a model that keeps its constraint and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest
from inference.api.validation import validate
from inference.backends.loaded_models import ChatModel, GenerativeModel
from inference.cards.card import Card, Deployment
from inference.contracts import (
    ApiStyle,
    CompletedChoice,
    Events,
    Finish,
    FinishReason,
    GenerationRequest,
    Route,
    Token,
    Usage,
)
from inference.errors import InvalidInput, RequestTooLarge
from inference.output.choices import fold
from inference.pipeline.admission import ResolvedRequest
from inference.pipeline.generate import LocalGeneration, lower_chat, lower_completion
from inference.pipeline.request_check import UNCHECKED
from inference.prompt.chat_template import ChatTemplate
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings
from tests.prompt.families import TEMPLATES
from tests.support.cards import CHAT
from tests.tool_formats import walking

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}},
    {"type": "function", "function": {"name": "plan"}},
]
NAMED = {"type": "function", "function": {"name": "get_weather"}}


class Obedient:
    """Answers with any text of the constraint, or with the text it was given."""

    context = 8192

    def __init__(self, seed: int = 0, text: str | None = None) -> None:
        self.seed, self.text = seed, text

    async def generate(self, request: GenerationRequest) -> Events:
        vocabulary = walking.tokenizer()
        text = self.text
        if text is None:
            assert request.constraint is not None
            text = walking.walk(request.constraint.source, vocabulary, self.seed)
        ids = vocabulary.encode(text, add_special_tokens=False).ids
        for number in ids:
            yield Token(number)
        yield Finish(FinishReason.STOP, Usage(len(request.prompt), len(ids) + 1))

    def close(self) -> None: ...


Ask = Callable[..., Any]


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    walking.tokenizer().save(str(tmp_path / "tokenizer.json"))
    return Tokenizer.open(tmp_path / "tokenizer.json")


async def answered(
    tokenizer: Tokenizer, generator: Obedient, dialect: str, *, more: str = "", **body: Any
) -> CompletedChoice:
    """The whole answer; `more` stands at the end of the chat template."""
    parameters = {"tools": {"dialect": dialect}, "tool_choice": {}, "stop": {}}
    card = Card.model_validate({**CHAT, "reasoning": {} if more else None, "parameters": parameters})
    template = ChatTemplate({"default": TEMPLATES[dialect] + more}, {})
    model = ChatModel(generator=generator, tokenizer=tokenizer, chat_template=template)
    resolved = ResolvedRequest(Route.CHAT, Deployment(card, Path()), ApiStyle.OPENAI, "openai", (), 0)
    request = validate(ChatRequest, {"messages": [{"role": "user", "content": "hi"}], "tools": TOOLS, **body})
    (events,) = lower_chat(request, resolved, model, Settings()).events(UNCHECKED)
    return await fold(events)


@pytest.mark.parametrize("dialect", sorted(TEMPLATES))
@pytest.mark.parametrize("choice", ["required", NAMED], ids=["required", "named"])
@pytest.mark.parametrize("more", ["", "{{ '<think>\n' }}", " "], ids=["plain", "thinking", "may-think"])
async def test_a_call_that_must_come_comes(
    tokenizer: Tokenizer, dialect: str, choice: Any, more: str
) -> None:
    for seed in range(4):
        reply = await answered(tokenizer, Obedient(seed), dialect, tool_choice=choice, more=more)
        assert reply.reason is FinishReason.TOOL_CALLS
        assert reply.text is None
        for call in reply.tool_calls:
            assert call.name in ("get_weather", "plan")
            schema = SCHEMA if call.name == "get_weather" else {"type": "object"}
            jsonschema.validate(json.loads(call.arguments), schema)
        if choice is NAMED:
            assert [call.name for call in reply.tool_calls] == ["get_weather"]


async def test_a_stop_text_does_not_tear_a_call_that_must_come(tokenizer: Tokenizer) -> None:
    reply = await answered(tokenizer, Obedient(), "hermes", tool_choice=NAMED, stop=["\n", "{"])
    assert len(reply.tool_calls) == 1


async def test_a_call_of_a_tool_that_may_not_be_called_is_text(tokenizer: Tokenizer) -> None:
    text = '<tool_call>\n{"name": "plan", "arguments": {}}\n</tool_call>'
    named = await answered(tokenizer, Obedient(text=text), "hermes", tool_choice=NAMED)
    assert (named.text, named.tool_calls) == (text, ())
    free = await answered(tokenizer, Obedient(text=text), "hermes")
    assert [call.name for call in free.tool_calls] == ["plan"]


async def test_a_function_that_is_no_tool_is_refused(tokenizer: Tokenizer) -> None:
    choice = {"type": "function", "function": {"name": "other"}}
    with pytest.raises(InvalidInput) as refusal:
        await answered(tokenizer, Obedient(), "hermes", tool_choice=choice)
    assert refusal.value.offenders[0].loc == ("body", "tool_choice", "function", "name")


def lowered(tokenizer: Tokenizer, **body: Any) -> LocalGeneration:
    """Return the choices of a text's continuations."""
    model = GenerativeModel(generator=Obedient(), tokenizer=tokenizer)
    card = Card.model_validate(CHAT)
    resolved = ResolvedRequest(Route.COMPLETIONS, Deployment(card, Path()), ApiStyle.OPENAI, "openai", (), 0)
    return lower_completion(validate(CompletionRequest, body), resolved, model, Settings(max_choices=6))


@pytest.mark.parametrize(
    ("seed", "seeds"),
    [
        (5, [5, 6, 7]),
        (-1, [2**64 - 1, 0, 1]),
        (2**63 - 1, [2**63 - 1, 2**63, 2**63 + 1]),
        (None, [None, None, None]),
    ],
)
def test_the_first_choice_has_the_seed_and_each_further_one_the_next(
    tokenizer: Tokenizer, seed: int | None, seeds: list[int | None]
) -> None:
    body = {"prompt": "a"} if seed is None else {"prompt": "a", "seed": seed}
    for count in (1, 3):
        choices = lowered(tokenizer, **body, n=count).choices
        assert [choice.request.sampling.seed for choice in choices] == seeds[:count]


def test_every_prompt_starts_with_the_seed(tokenizer: Tokenizer) -> None:
    plan = lowered(tokenizer, prompt=["a", "b"], n=1, best_of=2, seed=5, echo=True)
    assert [choice.request.sampling.seed for choice in plan.choices] == [5, 6, 5, 6]
    assert [choice.echo for choice in plan.choices] == ["a", "a", "b", "b"]
    assert plan.drawn == 2


def test_more_choices_than_the_endpoint_gives_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(RequestTooLarge) as refusal:
        lowered(tokenizer, prompt=["a", "b"], n=4)
    assert [(one.loc, one.input) for one in refusal.value.offenders] == [(("body", "n"), 8)]


def test_choices_drawn_to_be_ranked_have_their_log_probabilities(tokenizer: Tokenizer) -> None:
    ranked, plain = lowered(tokenizer, prompt="a", best_of=2), lowered(tokenizer, prompt="a", n=2, best_of=2)
    assert {choice.request.logprobs for choice in ranked.choices} == {0}
    assert {choice.request.logprobs for choice in plain.choices} == {None}
