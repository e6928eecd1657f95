"""The stages lower, run and say: an order for text becomes the event streams of its choices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from inference.backends.opened import Opened
from inference.contracts import Constraint, Events, GenerationRequest, Generator, Sampling, Usage
from inference.errors import Location, Offender, RequestTooLarge
from inference.order import Order
from inference.prompt import lowering, thinking
from inference.prompt.calling import forced_call
from inference.prompt.tokenizer import Tokenizer
from inference.reading import Reading, Tally
from inference.reply.detokenize import detokenize
from inference.reply.stop_strings import stop_strings
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
    constraint = _constraint(request, order, prompt, model.tokenizer)
    asked = _lower(request, order, model, [(prompt, ("body", "messages"))], settings)
    return [replace(one, constraint=constraint) for one in asked]


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
    reading = Reading.of(request, order)
    return [_spoken(reading, one, model.generator, model.tokenizer, guard) for one in asked]


def _spoken(
    reading: Reading,
    one: GenerationRequest,
    generator: Generator,
    tokenizer: Tokenizer,
    guard: Guarding | None,
) -> Events:
    # A completion goes on where its prompt ended, a message begins: that decides about a first space.
    before = one.prompt if reading.continues else ()
    begun = thinking.begun(one.prompt, reading.tags, tokenizer) if reading.tags else ""
    spent = Tally(one, reading.thoughts(begun))
    tokens = generator.generate(one)
    if guard is not None or reading.single:
        tokens = spent.count(tokens)
    said = detokenize(tokens, tokenizer.stream(after=before, visible=reading.visible))
    said = spent.count_thoughts(said)
    said = stop_strings(said, reading.stops, Usage(prompt_tokens=len(one.prompt)))
    said = reading.part(said, begun, spent)
    return said if guard is None else guard(said, spent.usage)


def _constraint(
    request: ChatRequest, order: Order, prompt: list[int], tokenizer: Tokenizer
) -> Constraint | None:
    """What the answer must be. Raises `InvalidInput`."""
    constraint = forced_call(request, lowering.dialect_of(order.card), tokenizer.token_id)
    if constraint is None or (tags := order.card.reasoning) is None:
        return constraint
    begun = thinking.begun(prompt, tags, tokenizer)
    return thinking.after_thoughts(constraint, tags, begun, tokenizer.token_id)


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
    draw = lowering.sampling(request, order.version, model.tokenizer)
    most = lowering.max_tokens(request, settings)
    return [
        lowering.lower(prompt, loc, context, order.card.name, most, one, model.stop_tokens)
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
