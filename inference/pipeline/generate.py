"""Text of a model in this process: a request is lowered to sequences, whose tokens become events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest
from inference.api.generation import GenerationBody
from inference.api.http_types import STABLE
from inference.backends.loaded_models import ChatModel, GenerativeModel
from inference.cards.card import ReasoningTags
from inference.contracts import ApiStyle, Events, GenerationRequest, Sampling, TokenIds, Usage
from inference.output.call_limits import CallLimits
from inference.output.detokenize import (
    Echo,
    apply_stop_strings,
    detokenize,
    detokenize_with_logprobs,
    echo,
    echo_with_logprobs,
)
from inference.output.reasoning import ReasoningCounter, ReasoningParser, inline_reasoning, separate_reasoning
from inference.output.token_counter import TokenCounter
from inference.output.tool_calls import parse_tool_calls
from inference.pipeline.admission import ResolvedRequest, check_choices
from inference.pipeline.request_check import RequestCheck
from inference.prompt import lowering, output_format
from inference.prompt.composed_grammar import open_reasoning
from inference.prompt.forced_calls import forced_tools
from inference.prompt.lowering import Prompt
from inference.prompt.output_format import OutputRules
from inference.settings import Settings
from inference.tool_formats import CallReader, HeldCallReader, ToolFormat

SEEDS = 2**64


@dataclass(frozen=True, slots=True)
class ChoicePlan:
    """One answer to be generated; `echo` is the text before it, None where there is none."""

    request: GenerationRequest
    echo: str | None = None


@dataclass(frozen=True, slots=True)
class LocalGeneration:
    """The choices of a request, ready to run; a prompt's choices together, the prompts in order."""

    choices: Sequence[ChoicePlan]
    model: GenerativeModel
    parser: OutputParser
    drawn: int
    """Answers drawn for each prompt."""
    unheld: tuple[str, ...] = ()
    """The places in the request that generation does not hold, as clients write them."""

    def events(self, check: RequestCheck) -> list[Events]:
        """Return the events of every choice as the caller may see them."""
        return [self._events(choice, check) for choice in self.choices]

    def room(self) -> dict[str, Any]:
        """Return, for a dry run, the tokens of each prompt, the room in the context, and what is not held."""
        context = self.model.generator.context
        requests = [choice.request for choice in self.choices]
        tokens = [len(one.prompt) for one in requests][:: self.drawn]
        room = [context - count for count in tokens]
        most = requests[0].max_tokens
        found = {"prompt_tokens": tokens, "context": context, "room": room, "max_tokens": most}
        return {**found, "unheld": self.unheld}

    def _events(self, choice: ChoicePlan, check: RequestCheck) -> Events:
        parser, request = self.parser, choice.request
        opened = open_reasoning(request.prompt, parser.tags, self.model.tokenizer) if parser.tags else ""
        counter = TokenCounter(request, parser.reasoning_counter(opened))
        tokens = self.model.generator.generate(request)
        if check.active or not parser.limits.none:
            tokens = counter.count(tokens)
        text = counter.count_reasoning(self._text(tokens, choice))
        text = apply_stop_strings(
            text, parser.stops, Usage(prompt_tokens=len(request.prompt)), self._echo(choice)
        )
        return check.filtered(parser.parse(text, opened, counter), counter.usage)

    def _text(self, tokens: Events, choice: ChoicePlan) -> Events:
        # A completion goes on where its prompt ended, a message does not: that decides about a first space.
        # A grammar counts every byte, a first space too.
        tokenizer, request = self.model.tokenizer, choice.request
        goes_on = self.parser.continues or request.constraint is not None
        stream = tokenizer.decode_stream(after=request.prompt if goes_on else (), visible=self.parser.visible)
        if request.logprobs is None:
            return detokenize(tokens, stream)
        return detokenize_with_logprobs(tokens, stream, tokenizer.token_bytes, len(choice.echo or ""))

    def _echo(self, choice: ChoicePlan) -> Echo | None:
        if choice.echo is None:
            return None
        if not choice.request.prompt_logprobs:
            return echo(choice.echo)
        tokenizer = self.model.tokenizer
        return echo_with_logprobs(
            choice.echo, choice.request.prompt, tokenizer.decode_stream(), tokenizer.token_bytes
        )


def lower_chat(
    request: ChatRequest, resolved: ResolvedRequest, model: ChatModel, settings: Settings
) -> LocalGeneration:
    """Return the choices of a conversation. May take milliseconds.

    Raises `ParameterNotSupported`, `InvalidInput` or `RequestTooLarge`.
    """
    context = model.generator.context
    tokens = lowering.encode_chat(request, resolved.card, model.chat_template, model.tokenizer, context)
    return _lower(request, resolved, model, [Prompt(tokens, ("body", "messages"))], settings)


def lower_completion(
    request: CompletionRequest, resolved: ResolvedRequest, model: GenerativeModel, settings: Settings
) -> LocalGeneration:
    """Return the choices of a text's continuations. Raises as `lower_chat`."""
    context, name = model.generator.context, resolved.card.name
    prompts = lowering.encode_prompts(request, model.tokenizer, context, name)
    return _lower(request, resolved, model, prompts, settings)


def _lower(
    request: GenerationBody,
    resolved: ResolvedRequest,
    model: GenerativeModel,
    prompts: Sequence[Prompt],
    settings: Settings,
) -> LocalGeneration:
    drawn = request.drawn_per_prompt()
    check_choices(drawn * len(prompts), request, settings)
    shared = _shared_request(request, resolved, model, drawn, settings)
    choices: list[ChoicePlan] = []
    rules: OutputRules | None = None
    for prompt in prompts:
        lowering.check_context_length(prompt.tokens, prompt.loc, model.generator.context, resolved.card.name)
        if request.constrained:
            rules = _rules(request, resolved, prompt.tokens, model)
        constraint = rules.constraint if rules else None
        one = replace(shared, prompt=tuple(prompt.tokens), constraint=constraint)
        text = prompt.text if request.echoes else None
        choices += [ChoicePlan(replace(one, sampling=each), text) for each in _seeded(shared.sampling, drawn)]
    parser = OutputParser.of(request, resolved, rules.heads if rules else ())
    return LocalGeneration(choices, model, parser, drawn, rules.unheld if rules else ())


def _rules(
    request: GenerationBody, resolved: ResolvedRequest, prompt: TokenIds, model: GenerativeModel
) -> OutputRules | None:
    card = resolved.card
    return output_format.output_rules(request, card, prompt, model.tokenizer, model.grammars)


def _shared_request(
    request: GenerationBody, resolved: ResolvedRequest, model: GenerativeModel, drawn: int, settings: Settings
) -> GenerationRequest:
    """Return the part of the sequences that all prompts share."""
    logprobs = request.top_logprobs_count()
    # The answers to return are the likeliest of those drawn, which their log probabilities decide.
    ranked = 0 if drawn > request.choices_per_prompt else None
    return GenerationRequest(
        prompt=(),
        max_tokens=request.token_limit(settings.max_tokens),
        sampling=lowering.sampling_of(request, resolved.version, model.tokenizer),
        stop_tokens=model.stop_tokens,
        logprobs=ranked if logprobs is None else logprobs,
        prompt_logprobs=logprobs is not None and request.echoes,
    )


def _seeded(sampling: Sampling, n: int) -> Iterator[Sampling]:
    """Yield a sampling for each choice; the first has the request's own seed, however many there are."""
    for choice in range(n):
        seed = sampling.seed
        yield sampling if seed is None else replace(sampling, seed=(seed + choice) % SEEDS)


WITH_REASONING = (STABLE, ApiStyle.OPENAI)
"""The versions of the API whose answers have `reasoning_content`."""


@dataclass(frozen=True, slots=True)
class OutputParser:
    """The rules by which the text of an answer is taken apart."""

    stops: tuple[str, ...]
    continues: bool = False
    """True if the text goes on where its prompt ended."""
    tags: ReasoningTags | None = None
    shows_reasoning: bool = False
    """True if the caller's version of the API has a field for reasoning; else it stays in the text."""
    tool_format: ToolFormat | None = None
    offered: frozenset[str] = frozenset()
    """The names of the tools that may be called."""
    single_call: bool = False
    """True if the answer is over with its first call."""
    max_calls: int | None = None
    """The most calls of the answer, by the card."""
    must_call: bool = False
    """True if the answer is nothing but calls."""
    heads: tuple[str, ...] = ()
    """The texts of which one starts an answer of calls, where any other start is that of a form."""

    @classmethod
    def of(
        cls, request: GenerationBody, resolved: ResolvedRequest, heads: tuple[str, ...] = ()
    ) -> OutputParser:
        """Return the parser of a request's answers; `heads` as in `OutputRules`.

        Stop strings apply to text: a call that must come is not cut by one.
        """
        if request.continues_prompt:
            return cls(request.stop_strings, continues=True)
        forced = forced_tools(request) if request.must_call else ()
        names = frozenset(tool.function.name for tool in forced or request.offered_tools)
        return cls(
            () if forced else request.stop_strings,
            tags=resolved.card.reasoning,
            shows_reasoning=resolved.version in WITH_REASONING,
            tool_format=lowering.tool_format_of(resolved.card) if names else None,
            offered=names,
            single_call=request.single_call,
            max_calls=tools.max_calls if (tools := resolved.card.limits("tools")) else None,
            must_call=bool(forced),
            heads=heads,
        )

    @property
    def visible(self) -> tuple[str, ...]:
        """The tokens that are text for the parser although they may be special."""
        tags = (self.tags.open, self.tags.close) if self.tags else ()
        return (*tags, *(self.tool_format.markers if self.tool_format else ()))

    @property
    def limits(self) -> CallLimits:
        """The calls with which the answer is over.

        Under a grammar of calls a model can only repeat itself. One that is free may mean to call twice.
        """
        return CallLimits(
            1 if self.single_call else self.max_calls, distinct=self.must_call or bool(self.heads)
        )

    def reasoning_counter(self, opened: str) -> ReasoningCounter | None:
        """Return a counter of reasoning tokens; `opened` is the tag that the prompt ends with, if any."""
        if self.tags is None:
            return None
        return ReasoningCounter(ReasoningParser(self.tags.open, self.tags.close, opened=opened))

    def parse(self, events: Events, opened: str, counter: TokenCounter) -> Events:
        """Return the events with reasoning and calls taken out of the text; a call in reasoning is none."""
        if self.tags:
            verbatim = not self.shows_reasoning
            parser = ReasoningParser(self.tags.open, self.tags.close, opened=opened, verbatim=verbatim)
            events = separate_reasoning(events, parser, lambda: counter.usage().reasoning_tokens or 0)
        if self.tool_format:
            events = parse_tool_calls(
                events,
                self._reader(self.tool_format),
                usage=None if self.limits.none else counter.usage,
                limits=self.limits,
            )
        return events if self.shows_reasoning or not self.tags else inline_reasoning(events)

    def _reader(self, tool_format: ToolFormat) -> CallReader:
        reader = tool_format.read(self.offered, tool_format.new_id)
        return HeldCallReader(reader, self.heads) if self.must_call or self.heads else reader
