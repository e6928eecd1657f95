"""The stages lower, run and say: an order for text becomes the event streams of its choices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TypeAlias

from inference.backends.opened import Opened
from inference.contracts import Events, GenerationRequest, Sampling, Token, Usage
from inference.errors import Location, Offender, RequestTooLarge
from inference.order import Order
from inference.prompt import lowering
from inference.prompt.constraint import constraint_of
from inference.reply.detokenize import detokenize
from inference.reply.stop_strings import stop_strings
from inference.reply.tool_calls import DIALECTS, tool_calls
from inference.settings import Settings
from inference.wire.chat import ChatRequest
from inference.wire.generation import CompletionRequest, GenerationBody

Guarding: TypeAlias = Callable[[Events, Callable[[], Usage]], Events]
"""Makes of a choice's events, and of what tells its usage so far, the events that may be shown."""

SEEDS = 2**64


def lower_chat(
    request: ChatRequest, order: Order, model: Opened, settings: Settings
) -> list[GenerationRequest]:
    """One request a choice. Raises `ParameterNotSupported` or `InvalidInput`. May take milliseconds."""
    assert model.tokenizer is not None
    assert model.chat_template is not None
    prompt = lowering.chat_prompt(request, order.card, model.chat_template, model.tokenizer)
    return _lower(request, order, model, [(prompt, ("body", "messages"))], settings)


def lower_text(
    request: CompletionRequest, order: Order, model: Opened, settings: Settings
) -> list[GenerationRequest]:
    """One request a choice: a prompt's choices together, the prompts in order. Raises as `lower_chat`."""
    assert model.tokenizer is not None
    prompts = lowering.text_prompts(request, model.tokenizer)
    return _lower(request, order, model, prompts, settings)


def speak(
    request: GenerationBody,
    order: Order,
    model: Opened,
    asked: Sequence[GenerationRequest],
    guard: Guarding | None = None,
) -> list[Events]:
    """The events of every choice, as the caller is to see them; `guard`, if there is one, stands last."""
    assert model.generator is not None
    assert model.tokenizer is not None
    stops = lowering.stop_texts(request)
    streams: list[Events] = []
    for one in asked:
        spent = Tally(one)
        tokens = model.generator.generate(one)
        if guard is not None:
            tokens = spent.count(tokens)
        # A completion goes on where its prompt ended, a message begins: that decides about a first space. A
        # grammar counts every byte, a first space too.
        goes_on = isinstance(request, CompletionRequest) or one.constraint is not None
        before = one.prompt if goes_on else ()
        text = detokenize(tokens, model.tokenizer.stream(after=before))
        said = stop_strings(text, stops, Usage(prompt_tokens=len(one.prompt)))
        called = _calls(said, request, order)
        streams.append(called if guard is None else guard(called, spent.usage))
    return streams


class Tally:
    """What a sequence took so far: for who ends it before its own `Finish` says so."""

    def __init__(self, asked: GenerationRequest) -> None:
        self._prompt = len(asked.prompt)
        self._tokens = 0

    async def count(self, events: Events) -> Events:
        """The events as they are."""
        async with aclosing(events):
            async for event in events:
                self._tokens += isinstance(event, Token)
                yield event

    def usage(self) -> Usage:
        return Usage(self._prompt, self._tokens)


def _calls(said: Events, request: GenerationBody, order: Order) -> Events:
    tools = order.card.parameters.get("tools")
    if tools is None or tools.dialect is None or not isinstance(request, ChatRequest) or not request.offered:
        return said
    return tool_calls(said, DIALECTS[tools.dialect], {tool.function.name for tool in request.offered})


def _lower(
    request: GenerationBody,
    order: Order,
    model: Opened,
    prompts: Sequence[tuple[list[int], Location]],
    settings: Settings,
) -> list[GenerationRequest]:
    assert model.generator is not None
    assert model.tokenizer is not None
    n, context = request.n or 1, model.generator.context
    _limit(n * len(prompts), n, settings.max_choices)
    held = constraint_of(request, model.grammars)
    draw = lowering.sampling(request, order.version, model.tokenizer)
    most = lowering.max_tokens(request, settings)
    return [
        replace(
            lowering.lower(prompt, loc, context, order.card.name, most, one, model.stop_tokens),
            constraint=held,
        )
        for prompt, loc in prompts
        for one in _draws(draw, n)
    ]


def _draws(draw: Sampling, n: int) -> Iterator[Sampling]:
    """The first choice has the request's own seed, so that asking for more does not change it."""
    for choice in range(n):
        yield draw if draw.seed is None else replace(draw, seed=(draw.seed + choice) % SEEDS)


def _limit(choices: int, n: int, most: int) -> None:
    if choices > most:
        message = f"{choices} choices are asked for, this endpoint gives at most {most}"
        name = "n" if n > 1 else "prompt"
        raise RequestTooLarge(message, offenders=[Offender(("body", name), choices, message)])
