"""Requests for remote deployments: the endpoint is sent the request itself, its answer becomes events."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from inference.api.embeddings import EmbeddingsBody
from inference.api.generation import GenerationBody
from inference.api.rerank import RerankRequest, rerank_body
from inference.backends.loaded_models import RemoteDeployment
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
from inference.output.reasoning import tag_reasoning
from inference.output.tool_calls import only_offered_calls
from inference.pipeline.admission import ResolvedRequest, check_choices
from inference.pipeline.generate import WITH_REASONING
from inference.pipeline.request_check import RequestCheck
from inference.pipeline.text_scoring import Answered
from inference.settings import Settings

RENDERED_HERE = frozenset({"texts", "documents", "return_documents", "return_text"})
"""Keys of a request for a ranking that the endpoint is not sent as they are."""
COUNTED = (Text, Reasoning, ToolCallArguments)


@dataclass(frozen=True, slots=True)
class RemoteGeneration:
    """The choices of a request, which a remote endpoint generates."""

    request: ProxyRequest
    endpoint: RemoteModel
    resolved: ResolvedRequest
    offered: frozenset[str] = frozenset()
    """The names of the tools that the model may call."""
    unheld: tuple[str, ...] = ()
    """Nothing: the endpoint decides about schemas."""

    def events(self, check: RequestCheck) -> list[Events]:
        """Return the events of every choice as the caller may see them."""
        return [self._events(events, check) for events in self.endpoint.generate(self.request)]

    def room(self) -> dict[str, Any]:
        """Return the context for a dry run: only the endpoint could count tokens, and is not called."""
        return context_of(self.resolved)

    def _events(self, events: Events, check: RequestCheck) -> Events:
        counter = PieceCounter()
        if check.active:
            events = counter.count(events)
        events = only_offered_calls(events, self.offered)
        if self.resolved.version not in WITH_REASONING:
            tags = self.resolved.card.reasoning or ReasoningTags()
            events = tag_reasoning(events, tags.open, tags.close)
        # A request that is refused must not have left this process.
        return check.filtered(events, counter.usage, eager=False)


@dataclass(frozen=True, slots=True)
class RemoteEmbedding:
    """The inputs of a request, which a remote endpoint turns into vectors."""

    request: ProxyRequest
    endpoint: RemoteModel
    resolved: ResolvedRequest

    async def embed(self, check: RequestCheck) -> Embeddings:
        """Return the vectors, asked for once the request passed the content filter."""
        return await check.once_passed(self.endpoint.embed(self.request))

    def room(self) -> dict[str, Any]:
        """Return the context for a dry run."""
        return context_of(self.resolved)


@dataclass(frozen=True, slots=True)
class RemoteRanking:
    """A query and its documents, which a remote endpoint ranks."""

    request: RerankRequest
    proxied: ProxyRequest
    endpoint: RemoteModel
    resolved: ResolvedRequest

    async def answer(self, check: RequestCheck) -> Answered:
        """Return the ranking, asked for once the request passed the content filter."""
        ranking = await check.once_passed(self.endpoint.rerank(self.proxied))
        best = ranking.scores[: self.request.top_n or None]
        body = rerank_body(self.request, self.resolved.deployment.name, best, ranking.tokens)
        return Answered(body, ranking.tokens)

    def room(self) -> dict[str, Any]:
        """Return the context for a dry run."""
        return context_of(self.resolved)


def proxy_generation(
    request: GenerationBody,
    resolved: ResolvedRequest,
    model: RemoteDeployment,
    settings: Settings,
    headers: Mapping[str, str],
) -> RemoteGeneration:
    """Return the request for text that the endpoint is sent; `headers` go with it.

    Raises `RequestTooLarge` for too many choices, `InvalidInput` for alternatives without log probabilities.
    """
    request.top_logprobs_count()
    choices = request.choices_per_prompt * request.prompt_count
    check_choices(choices, request, settings)
    proxied = ProxyRequest(
        resolved.route, resolved.body, resolved.version, choices, request.streamed, headers
    )
    offered = frozenset(tool.function.name for tool in request.offered_tools)
    return RemoteGeneration(proxied, model.endpoint, resolved, offered)


def proxy_embedding(
    request: EmbeddingsBody, resolved: ResolvedRequest, model: RemoteDeployment, headers: Mapping[str, str]
) -> RemoteEmbedding:
    """Return the request for vectors that the endpoint is sent. Raises `InvalidInput` for an empty text."""
    count = request.input_count()
    proxied = ProxyRequest(resolved.route, resolved.body, resolved.version, count, headers=headers)
    return RemoteEmbedding(proxied, model.endpoint, resolved)


def proxy_ranking(
    request: RerankRequest, resolved: ResolvedRequest, model: RemoteDeployment, headers: Mapping[str, str]
) -> RemoteRanking:
    """Return the request for a ranking that the endpoint is sent: in Cohere's form, whatever the caller's."""
    body = {name: value for name, value in resolved.body.items() if name not in RENDERED_HERE}
    body["documents"] = [text for _, text in request.located_texts()]
    count = len(body["documents"])
    proxied = ProxyRequest(resolved.route, body, resolved.version, count, headers=headers)
    return RemoteRanking(request, proxied, model.endpoint, resolved)


def context_of(resolved: ResolvedRequest) -> dict[str, Any]:
    """Return the context that the card of a remote deployment names, as a dry run reports it."""
    return {} if resolved.card.context is None else {"context": resolved.card.context}


class PieceCounter:
    """The pieces of a choice so far, for a stage that ends it before the endpoint has counted."""

    def __init__(self) -> None:
        self._pieces = 0

    async def count(self, events: Events) -> Events:
        """Yield the events unchanged and count them."""
        async with aclosing(events):
            async for event in events:
                self._pieces += isinstance(event, COUNTED)
                yield event

    def usage(self) -> Usage:
        """Return the usage so far."""
        return Usage(0, self._pieces)
