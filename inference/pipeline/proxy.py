"""The stages lower and run of an order for a model elsewhere: what becomes of it is asked of an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TypeAlias

from inference.api.completions import CompletionRequest, GenerationBody
from inference.api.embeddings import EmbeddingsRequest, ImageEmbeddingsRequest
from inference.api.text_inputs import one_by_one
from inference.api.validation import Request
from inference.cards.card import ReasoningTags
from inference.contracts import (
    Embeddings,
    Events,
    ProxyRequest,
    Reasoning,
    RemoteModel,
    Text,
    ToolCallArguments,
    Usage,
)
from inference.errors import InvalidInput, Offender, RequestTooLarge
from inference.output.reasoning import tagged
from inference.pipeline.admission import ResolvedRequest
from inference.pipeline.output_parser import WITH_THOUGHTS
from inference.prompt import lowering
from inference.settings import Settings

Guarding: TypeAlias = Callable[[Events, Callable[[], Usage]], Events]

SPOKEN = (Text, Reasoning, ToolCallArguments)


def proxy_request(
    request: Request, order: ResolvedRequest, settings: Settings, headers: Mapping[str, str]
) -> ProxyRequest:
    """What the endpoint is asked. Raises `RequestTooLarge` for too many choices, `InvalidInput` for an empty
    text to embed and for alternatives without log probabilities."""
    if isinstance(request, GenerationBody):
        lowering.logprobs(request)
    stream = isinstance(request, GenerationBody) and bool(request.stream)
    return ProxyRequest(order.route, order.body, order.version, _count(request, settings), stream, headers)


def proxy_events(
    upstream: RemoteModel, asked: ProxyRequest, order: ResolvedRequest, guard: Guarding | None
) -> list[Events]:
    """The events of every choice, as the caller is to see them; `guard`, if there is one, stands last."""
    return [_shown(events, order, guard) for events in upstream.generate(asked)]


async def proxy_embeddings(upstream: RemoteModel, asked: ProxyRequest) -> Embeddings:
    return await upstream.embed(asked)


def _shown(events: Events, order: ResolvedRequest, guard: Guarding | None) -> Events:
    spent = PieceCounter()
    if guard is not None:
        events = spent.count(events)
    if order.version not in WITH_THOUGHTS:
        tags = order.card.reasoning or ReasoningTags()
        events = tagged(events, tags.open, tags.close)
    return events if guard is None else guard(events, spent.usage)


class PieceCounter:
    """What a choice took so far: its pieces, for who ends it before the endpoint has counted."""

    def __init__(self) -> None:
        self._pieces = 0

    async def count(self, events: Events) -> Events:
        """The events as they are."""
        async with aclosing(events):
            async for event in events:
                self._pieces += isinstance(event, SPOKEN)
                yield event

    def usage(self) -> Usage:
        return Usage(0, self._pieces)


def _count(request: Request, settings: Settings) -> int:
    match request:
        case CompletionRequest():
            return _choices(len(one_by_one(request.prompt)), request.n or 1, settings.max_choices)
        case GenerationBody():
            return _choices(1, request.n or 1, settings.max_choices)
        case EmbeddingsRequest():
            return _inputs(request)
        case ImageEmbeddingsRequest():
            return len(request.input)
    return 1


def _choices(prompts: int, n: int, most: int) -> int:
    if (choices := prompts * n) > most:
        message = f"{choices} choices are asked for, this endpoint gives at most {most}"
        name = "n" if n > 1 else "prompt"
        raise RequestTooLarge(message, offenders=[Offender(("body", name), choices, message)])
    return choices


def _inputs(request: EmbeddingsRequest) -> int:
    inputs: Sequence[str | list[int]] = one_by_one(request.input)
    alone = request.input is inputs[0]
    empty = [
        Offender(("body", "input") if alone else ("body", "input", index), "", "an empty text has no vector")
        for index, one in enumerate(inputs)
        if not one
    ]
    if empty:
        raise InvalidInput(empty)
    return len(inputs)
