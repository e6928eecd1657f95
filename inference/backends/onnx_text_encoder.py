"""Text embeddings: an ONNX encoder of any family whose graph and files say how it is used.

Pooling and normalisation come from the card, else from modules.json; the context from the card, else from
sentence_bert_config.json, tokenizer_config.json or config.json; the dimensions from a first run.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from inference.backends.model_files import context_of, head_of, pad_token, vocabulary_of
from inference.backends.onnx_session import first_line, open_session
from inference.backends.opened import Opened
from inference.backends.pooling import Head
from inference.backends.token_graph import POOLED_OUTPUTS, TOKEN_OUTPUTS, TokenGraph
from inference.card import Deployment
from inference.contracts import TokenIds
from inference.engine.microbatch import Microbatch
from inference.errors import GenerationFailed
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.contracts import Vectors

TOKENS_PER_RUN = 512
"""Padded tokens. On two cores, 256 to 512 embed mixed lengths a third faster than 2048 to 4096."""


def open(deployment: Deployment, settings: Settings) -> Opened:  # noqa: A001  the backends' common name
    """The card's text encoder, running. Raises `CardError`."""
    session = open_session(deployment.file("model", "model.onnx"), settings)
    tokenizer = Tokenizer.open(deployment.file("tokenizer", "tokenizer.json"))
    pools = deployment.card.embedding.pooling not in (None, "none")
    outputs = (*TOKEN_OUTPUTS, *POOLED_OUTPUTS) if pools else (*POOLED_OUTPUTS, *TOKEN_OUTPUTS)
    pad = pad_token(deployment.folder, tokenizer)
    graph = TokenGraph(session, role="model", outputs=outputs, pad=pad)
    head = head_of(deployment, pooled=graph.pooled)
    encoder = TextEncoder(
        graph,
        head,
        context=context_of(deployment),
        vocabulary=vocabulary_of(deployment.folder, tokenizer),
        settings=settings,
        name=deployment.name,
    )
    return Opened(text_embedder=encoder, tokenizer=tokenizer)


class TextEncoder:
    """A `TextEmbedder`: concurrent requests share the runs of one graph."""

    def __init__(
        self,
        graph: TokenGraph,
        head: Head,
        *,
        context: int,
        vocabulary: int,
        settings: Settings,
        name: str,
    ) -> None:
        self.dimensions = graph.shape[-1]
        self.context = min(context, graph.positions or context)
        """The most tokens of an input."""
        self.vocabulary = vocabulary
        """Every token id is below this number."""
        self._graph = graph
        self._head = head
        self._batch: Microbatch[TokenIds] = Microbatch(
            self._run,
            size=lambda tokens: graph.positions or len(tokens),
            budget=TOKENS_PER_RUN,
            queue_limit=settings.queue_limit,
            name=f"embed {name}",
        )

    async def embed(self, inputs: Sequence[TokenIds]) -> Vectors:
        """One row an input: float32 [inputs, dimensions], in the inputs' order.

        Every input holds 1 to `context` ids from 0 to below `vocabulary`, else `ValueError`. Raises
        `errors.Busy`, `errors.ModelNotReady` when closed, `errors.GenerationFailed` when the model fails.
        """
        if not inputs:
            return np.empty((0, self.dimensions), np.float32)
        for tokens in inputs:
            if not 1 <= len(tokens) <= self.context:
                raise ValueError(f"an input has {len(tokens)} tokens, the model takes 1 to {self.context}")
        return await self._batch.submit(inputs)

    def close(self) -> None:
        """Gives the worker thread back; requests that wait end with `errors.ModelNotReady`."""
        self._batch.close()

    def _run(self, inputs: Sequence[TokenIds]) -> Vectors:
        self._check(inputs)
        if self._graph.pads or len({len(tokens) for tokens in inputs}) == 1:
            return self._embed(inputs)
        return np.concatenate([self._embed([tokens]) for tokens in inputs])

    def _check(self, inputs: Sequence[TokenIds]) -> None:
        """Some graphs read other weights for a wrong id instead of failing."""
        for tokens in inputs:
            if min(tokens) < 0 or max(tokens) >= self.vocabulary:
                raise ValueError(f"a token id lies outside the vocabulary of {self.vocabulary}")

    def _embed(self, inputs: Sequence[TokenIds]) -> Vectors:
        try:
            output, lengths = self._graph.run(inputs)
        except Exception as error:
            raise GenerationFailed(f"The model failed: {first_line(error)}") from error
        return finite(self._head(output, lengths))


def finite(vectors: Vectors) -> Vectors:
    """The vectors, none of whose numbers is infinite or none. Raises `errors.GenerationFailed`."""
    if not isfinite(np.vdot(vectors, vectors)):
        raise GenerationFailed("The model gave numbers that are not finite.")
    return vectors
