"""Text embeddings: an ONNX encoder of any family whose graph and files say how it is used.

Pooling, layers behind it and normalisation come from the card, else from modules.json; the context from the
card, else from the least that the model's files say; the dimensions from a first run.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from inference.backends.encoder.pooling import EmbeddingHead
from inference.backends.encoder.sentence_modules import head_of
from inference.backends.encoder.token_graph import POOLED_OUTPUTS, TOKEN_OUTPUTS, TokenGraph
from inference.backends.loaded_models import TextEmbeddingModel
from inference.backends.model_files import context_of, is_tower, pad_token, prompts_of, vocabulary_of
from inference.backends.session import SLOW_NORMS, first_line, open_session
from inference.cards.card import CardError, Deployment
from inference.contracts import TokenIds
from inference.engine.microbatch import Microbatch
from inference.errors import GenerationFailed
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.contracts import Vectors

TOWER_OUTPUT = "pooler_output"
"""SigLIP's name of the vector that is shared with pictures; of other encoders it is no embedding."""
TOKENS_PER_RUN = 384
"""Padded tokens. By processor time 256 to 384 are best for mixed lengths, 512 takes 5 % more, 1024 20 % more,
in float and in 8 bit (all-MiniLM-L6-v2): what a run touches stays in the cache."""


def open(deployment: Deployment, settings: Settings) -> TextEmbeddingModel:  # noqa: A001  the backends' common name
    """The card's text encoder, running. Raises `CardError`."""
    session = open_session(deployment.file("model", "model.onnx"), settings, leave_out=SLOW_NORMS)
    tokenizer = Tokenizer.open(deployment.file("tokenizer", "tokenizer.json"))
    context, tower = context_of(deployment), is_tower(deployment.folder)
    pools = deployment.card.embedding.pooling not in (None, "none")
    pooled = (*POOLED_OUTPUTS, TOWER_OUTPUT) if tower else POOLED_OUTPUTS
    graph = TokenGraph(
        session,
        role="model",
        outputs=(*TOKEN_OUTPUTS, *pooled) if pools else (*pooled, *TOKEN_OUTPUTS),
        pad=pad_token(deployment.folder, tokenizer),
        # Towers without a mask were trained on texts padded to the context, and see the padding.
        unmasked=context if tower else None,
    )
    encoder = TextEncoder(
        graph,
        head_of(deployment, pooled=graph.pooled),
        context=context,
        vocabulary=vocabulary_of(deployment.folder, tokenizer),
        settings=settings,
        name=deployment.name,
    )
    return TextEmbeddingModel(embedder=encoder, tokenizer=tokenizer, prompts=prompts_of(deployment))


class Entry(NamedTuple):
    """One input, and how many of its first tokens are a prompt."""

    tokens: TokenIds
    prompt: int


class TextEncoder:
    """A `TextEmbedder`: concurrent requests share the runs of one graph."""

    def __init__(
        self,
        graph: TokenGraph,
        head: EmbeddingHead,
        *,
        context: int,
        vocabulary: int,
        settings: Settings,
        name: str,
    ) -> None:
        """Raises `CardError` for a head that does not fit the graph's output."""
        self.dimensions = _dimensions(graph, head)
        self.context = min(context, graph.positions or context)
        """The most tokens of an input."""
        self.vocabulary = vocabulary
        """Every token id is below this number."""
        self._graph = graph
        self._head = head
        self._batch: Microbatch[Entry] = Microbatch(
            self._run,
            size=lambda entry: graph.positions or len(entry.tokens),
            budget=TOKENS_PER_RUN,
            queue_limit=settings.queue_limit,
            name=f"embed {name}",
        )

    async def embed(self, inputs: Sequence[TokenIds], *, prompt: int = 0) -> Vectors:
        """One row an input: float32 [inputs, dimensions], in the inputs' order.

        Every input holds 1 to `context` ids from 0 to below `vocabulary`, else `ValueError`; the first
        `prompt` of them are the model's own words before it. Raises `errors.Busy`, `errors.ModelNotReady`
        when closed, `errors.GenerationFailed` when the model fails.
        """
        if not inputs:
            return np.empty((0, self.dimensions), np.float32)
        for tokens in inputs:
            if not 1 <= len(tokens) <= self.context:
                raise ValueError(f"an input has {len(tokens)} tokens, the model takes 1 to {self.context}")
        return await self._batch.submit([Entry(tokens, prompt) for tokens in inputs])

    def close(self) -> None:
        """Gives the worker thread back; requests that wait end with `errors.ModelNotReady`."""
        self._batch.close()

    def _run(self, entries: Sequence[Entry]) -> Vectors:
        inputs = [entry.tokens for entry in entries]
        self._check(inputs)
        if self._graph.shares(inputs):
            return self._embed(entries)
        return np.concatenate([self._embed([entry]) for entry in entries])

    def _check(self, inputs: Sequence[TokenIds]) -> None:
        """Some graphs read other weights for a wrong id instead of failing."""
        for tokens in inputs:
            if min(tokens) < 0 or max(tokens) >= self.vocabulary:
                raise ValueError(f"a token id lies outside the vocabulary of {self.vocabulary}")

    def _embed(self, entries: Sequence[Entry]) -> Vectors:
        try:
            output, lengths = self._graph.run([entry.tokens for entry in entries])
        except Exception as error:
            raise GenerationFailed(f"The model failed: {first_line(error)}") from error
        return finite(self._head(output, lengths, np.array([entry.prompt for entry in entries])))


def _dimensions(graph: TokenGraph, head: EmbeddingHead) -> int:
    """Of a vector, tried on an output of zeros. Raises `CardError`."""
    ones = np.ones(graph.shape[0], np.intp)
    try:
        return int(head(np.zeros(graph.shape, np.float32), ones).shape[1])
    except ValueError as error:
        size = graph.shape[-1]
        raise CardError(f"modules.json: a step does not take vectors of {size} numbers: {error}") from error


def finite(vectors: Vectors) -> Vectors:
    """The vectors, none of whose numbers is infinite or none. Raises `errors.GenerationFailed`."""
    if not isfinite(np.vdot(vectors, vectors)):
        raise GenerationFailed("The model gave numbers that are not finite.")
    return vectors
