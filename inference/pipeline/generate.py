"""The stages lower, run and say: an order for text becomes the event streams of its choices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest, GenerationBody
from inference.backends.loaded_models import LoadedModel
from inference.contracts import Events, GenerationRequest, Generator, Sampling, Usage
from inference.errors import Offender, ParameterNotSupported, RequestTooLarge
from inference.output.detokenize import Echo, detokenize, detokenize_scored, echo, echo_scored
from inference.output.stop_strings import stop_strings
from inference.pipeline.admission import ResolvedRequest
from inference.pipeline.output_parser import OutputParser, TokenCounter
from inference.prompt import lowering, output_format
from inference.prompt.lowering import Prompt
from inference.prompt.output_format import constraint_of_request
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

Guarding: TypeAlias = Callable[[Events, Callable[[], Usage]], Events]
"""Makes of a choice's events, and of what tells its usage so far, the events that may be shown."""

SEEDS = 2**64


@dataclass(frozen=True, slots=True)
class ChoicePlan:
    """One answer to be generated; `echo` is what is said before it, None where nothing is."""

    asked: GenerationRequest
    echo: str | None = None


def lower_chat(
    request: ChatRequest, order: ResolvedRequest, model: LoadedModel, settings: Settings
) -> list[ChoicePlan]:
    """Raises `ParameterNotSupported` or `InvalidInput`. May take milliseconds."""
    assert model.tokenizer is not None
    assert model.chat_template is not None
    tokens = lowering.chat_prompt(request, order.card, model.chat_template, model.tokenizer)
    return _lower(request, order, model, [Prompt(tokens, ("body", "messages"))], settings)


def lower_text(
    request: CompletionRequest, order: ResolvedRequest, model: LoadedModel, settings: Settings
) -> list[ChoicePlan]:
    """A prompt's choices together, the prompts in order. Raises as `lower_chat`."""
    assert model.tokenizer is not None
    prompts = lowering.text_prompts(request, model.tokenizer)
    return _lower(request, order, model, prompts, settings)


def speak(
    request: GenerationBody,
    order: ResolvedRequest,
    model: LoadedModel,
    choices: Sequence[ChoicePlan],
    guard: Guarding | None = None,
) -> list[Events]:
    """The events of every choice, as the caller is to see them; `guard`, if there is one, stands last."""
    assert model.generator is not None
    assert model.tokenizer is not None
    reading = OutputParser.of(request, order)
    return [_spoken(reading, choice, model.generator, model.tokenizer, guard) for choice in choices]


def _spoken(
    reading: OutputParser,
    choice: ChoicePlan,
    generator: Generator,
    tokenizer: Tokenizer,
    guard: Guarding | None,
) -> Events:
    asked = choice.asked
    begun = output_format.begun(asked.prompt, reading.tags, tokenizer) if reading.tags else ""
    spent = TokenCounter(asked, reading.thoughts(begun))
    tokens = generator.generate(asked)
    if guard is not None or reading.single:
        tokens = spent.count(tokens)
    said = spent.count_thoughts(_text(tokens, reading, choice, tokenizer))
    prompt = Usage(prompt_tokens=len(asked.prompt))
    said = stop_strings(said, reading.stops, prompt, _echo(choice, tokenizer))
    said = reading.part(said, begun, spent)
    return said if guard is None else guard(said, spent.usage)


def _text(tokens: Events, reading: OutputParser, choice: ChoicePlan, tokenizer: Tokenizer) -> Events:
    # A completion goes on where its prompt ended, a message begins: that decides about a first space. A
    # grammar counts every byte, a first space too.
    goes_on = reading.continues or choice.asked.constraint is not None
    stream = tokenizer.stream(after=choice.asked.prompt if goes_on else (), visible=reading.visible)
    if choice.asked.logprobs is None:
        return detokenize(tokens, stream)
    return detokenize_scored(tokens, stream, tokenizer.spell, len(choice.echo or ""))


def _echo(choice: ChoicePlan, tokenizer: Tokenizer) -> Echo | None:
    if choice.echo is None:
        return None
    if not choice.asked.prompt_logprobs:
        return echo(choice.echo)
    return echo_scored(choice.echo, choice.asked.prompt, tokenizer.stream(), tokenizer.spell)


def _lower(
    request: GenerationBody,
    order: ResolvedRequest,
    model: LoadedModel,
    prompts: Sequence[Prompt],
    settings: Settings,
) -> list[ChoicePlan]:
    assert model.generator is not None
    assert model.tokenizer is not None
    draws = lowering.draws(request)
    _limit(draws * len(prompts), request, settings.max_choices)
    asked = _asked(request, order, model, draws, settings)
    echoes = isinstance(request, CompletionRequest) and bool(request.echo)
    choices: list[ChoicePlan] = []
    for prompt in prompts:
        lowering.check_fits(prompt.tokens, prompt.loc, model.generator.context, order.card.name)
        form = constraint_of_request(request, order.card, prompt.tokens, model.tokenizer, model.grammars)
        one = replace(asked, prompt=tuple(prompt.tokens), constraint=form)
        choices += [
            ChoicePlan(replace(one, sampling=drawn), prompt.text if echoes else None)
            for drawn in _draws(asked.sampling, draws)
        ]
    return choices


def _asked(
    request: GenerationBody, order: ResolvedRequest, model: LoadedModel, draws: int, settings: Settings
) -> GenerationRequest:
    """What is asked of every prompt alike."""
    assert model.generator is not None
    assert model.tokenizer is not None
    logprobs = lowering.logprobs(request)
    told = logprobs is not None and isinstance(request, CompletionRequest) and bool(request.echo)
    if told and not model.generator.scores:
        message = (
            f"{order.card.name} tells no log probabilities of a prompt: its graph computes the last only"
        )
        raise ParameterNotSupported([Offender(("body", "logprobs"), logprobs, message)])
    # The best answers are the likeliest.
    ranked = 0 if draws > (request.n or 1) else None
    return GenerationRequest(
        prompt=(),
        max_tokens=lowering.max_tokens(request, settings),
        sampling=lowering.sampling(request, order.version, model.tokenizer),
        stop_tokens=model.stop_tokens,
        logprobs=ranked if logprobs is None else logprobs,
        prompt_logprobs=told,
    )


def _draws(draw: Sampling, n: int) -> Iterator[Sampling]:
    """The first choice has the request's own seed, so that asking for more does not change it."""
    for choice in range(n):
        yield draw if draw.seed is None else replace(draw, seed=(draw.seed + choice) % SEEDS)


def _limit(choices: int, request: GenerationBody, most: int) -> None:
    if choices > most:
        message = f"{choices} choices are asked for, this endpoint gives at most {most}"
        best = isinstance(request, CompletionRequest) and (request.best_of or 1) > (request.n or 1)
        name = "best_of" if best else "n" if (request.n or 1) > 1 else "prompt"
        raise RequestTooLarge(message, offenders=[Offender(("body", name), choices, message)])
