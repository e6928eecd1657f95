"""The stage `lower`: a typed request becomes a plan, ready to run in this process or at an endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from inference.api.chat import ChatRequest
from inference.api.classify import ClassifyRequest, EmbedSparseRequest
from inference.api.completions import CompletionRequest
from inference.api.embeddings import EmbeddingsRequest, ImageEmbeddingsRequest
from inference.api.rerank import RerankRequest
from inference.api.validation import Request
from inference.backends.loaded_models import (
    ChatModel,
    ClassifierModel,
    GenerativeModel,
    ImageEmbeddingModel,
    LoadedModel,
    OpenModel,
    RemoteDeployment,
    RerankModel,
    SparseEmbeddingModel,
    TextEmbeddingModel,
)
from inference.errors import DeploymentBroken
from inference.pipeline.admission import ResolvedRequest
from inference.pipeline.exchange import Exchange
from inference.pipeline.generate import LocalGeneration, lower_chat, lower_completion
from inference.pipeline.image_embedding import ImageInputs, lower_images
from inference.pipeline.proxy import (
    RemoteEmbedding,
    RemoteGeneration,
    RemoteRanking,
    proxy_embedding,
    proxy_generation,
    proxy_ranking,
)
from inference.pipeline.text_embedding import TextInputs, lower_texts
from inference.pipeline.text_scoring import (
    ClassificationInputs,
    RankingInputs,
    SparseInputs,
    lower_classification,
    lower_ranking,
    lower_sparse,
)
from inference.settings import Settings

Lowered = TypeVar("Lowered")
Kind = TypeVar("Kind", bound=OpenModel)

SHORT = 4_000
"""Bytes of a body that is tokenised on the event loop: some 0.2 ms, where a thread takes 0.1 ms to answer."""


class Planner:
    """Makes plans of requests, one method a route; each raises the refusals of its lowering."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def chat(
        self, request: ChatRequest, resolved: ResolvedRequest, model: LoadedModel, exchange: Exchange
    ) -> LocalGeneration | RemoteGeneration:
        """Return the choices of a conversation."""
        if isinstance(model, RemoteDeployment):
            return proxy_generation(request, resolved, model, self._settings, exchange.trace.upstream_headers)
        chat_model = expect(model, ChatModel, resolved.deployment.name)
        return await self._lower(
            request, resolved, partial(lower_chat, request, resolved, chat_model, self._settings)
        )

    async def completion(
        self, request: CompletionRequest, resolved: ResolvedRequest, model: LoadedModel, exchange: Exchange
    ) -> LocalGeneration | RemoteGeneration:
        """Return the choices of a text's continuations."""
        if isinstance(model, RemoteDeployment):
            return proxy_generation(request, resolved, model, self._settings, exchange.trace.upstream_headers)
        text_model = expect(model, GenerativeModel, resolved.deployment.name)
        return await self._lower(
            request, resolved, partial(lower_completion, request, resolved, text_model, self._settings)
        )

    async def texts(
        self, request: EmbeddingsRequest, resolved: ResolvedRequest, model: LoadedModel, exchange: Exchange
    ) -> TextInputs | RemoteEmbedding:
        """Return the inputs of texts to embed."""
        if isinstance(model, RemoteDeployment):
            return proxy_embedding(request, resolved, model, exchange.trace.upstream_headers)
        embedding_model = text_embedding_model(model, resolved.deployment.name)
        return await self._lower(
            request, resolved, partial(lower_texts, request, resolved.card, embedding_model)
        )

    async def images(
        self,
        request: ImageEmbeddingsRequest,
        resolved: ResolvedRequest,
        model: LoadedModel,
        exchange: Exchange,
    ) -> ImageInputs | RemoteEmbedding:
        """Return the inputs of images to embed, fetched where they are not in the request."""
        if isinstance(model, RemoteDeployment):
            return proxy_embedding(request, resolved, model, exchange.trace.upstream_headers)
        image_model = expect(model, ImageEmbeddingModel, resolved.deployment.name)
        return await lower_images(request, resolved.card, image_model, self._settings)

    async def ranking(
        self, request: RerankRequest, resolved: ResolvedRequest, model: LoadedModel, exchange: Exchange
    ) -> RankingInputs | RemoteRanking:
        """Return the pairs of a query and its documents."""
        if isinstance(model, RemoteDeployment):
            return proxy_ranking(request, resolved, model, exchange.trace.upstream_headers)
        name = resolved.deployment.name
        rerank_model = expect(model, RerankModel, name)
        return await self._lower(request, resolved, partial(lower_ranking, request, name, rerank_model))

    async def classification(
        self, request: ClassifyRequest, resolved: ResolvedRequest, model: LoadedModel, _: Exchange
    ) -> ClassificationInputs:
        """Return the inputs of texts to classify."""
        name = resolved.deployment.name
        classifier = expect(model, ClassifierModel, name)
        return await self._lower(request, resolved, partial(lower_classification, request, name, classifier))

    async def sparse(
        self, request: EmbedSparseRequest, resolved: ResolvedRequest, model: LoadedModel, _: Exchange
    ) -> SparseInputs:
        """Return the inputs of texts whose tokens are weighed."""
        name = resolved.deployment.name
        if isinstance(model, TextEmbeddingModel) and model.sparse is not None:
            sparse, tokenizer, prompt = model.sparse, model.tokenizer, model.prompts.get("text", "")
        else:
            sparse_model = expect(model, SparseEmbeddingModel, name)
            sparse, tokenizer = sparse_model.sparse, sparse_model.tokenizer
            prompt = sparse_model.prompts.text(request.prompt_name)
        lower = partial(lower_sparse, request, name, sparse, tokenizer, prompt)
        return await self._lower(request, resolved, lower)

    async def _lower(
        self, request: Request, resolved: ResolvedRequest, lower: Callable[[], Lowered]
    ) -> Lowered:
        """Run a lowering in a thread, unless it is over before a thread would have started."""
        if resolved.size <= SHORT and not request.constrained:
            return lower()
        return await asyncio.to_thread(lower)


def expect(model: LoadedModel, kind: type[Kind], name: str) -> Kind:
    """Return the model as the kind that a route needs.

    Raises `DeploymentBroken` for a backend that opened something else than the card of `name` says.
    """
    if isinstance(model, kind):
        return model
    raise DeploymentBroken(f"{name} was opened as {type(model).__name__}, its route needs {kind.__name__}.")


def text_embedding_model(model: LoadedModel, name: str) -> TextEmbeddingModel:
    """Return the part of a model that embeds texts: itself, or its text tower. Raises `DeploymentBroken`."""
    tower = model.text if isinstance(model, ImageEmbeddingModel) else None
    return tower or expect(model, TextEmbeddingModel, name)
