"""Texts as weights of tokens, for search by words that the model adds to a text, or weighs.

A graph of one number a token, [inputs, positions, 1], weighs the text's own tokens (BGE-M3): of a token that
occurs several times the greatest weight counts, and those put around a text count for nothing. A graph of
logits, [inputs, positions, vocabulary], weighs every token of the vocabulary (SPLADE): the greatest
log(1 + relu(logit)) over a text's positions. One of [inputs, vocabulary] has done so already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inference.backends.encoder.pooling import Lengths
from inference.backends.encoder.token_graph import TokenGraph
from inference.backends.loaded_models import SparseEmbeddingModel
from inference.backends.model_files import (
    SPLADE_POOLING,
    encoder_context,
    named_prompts,
    pad_token,
    sentence_steps,
)
from inference.backends.session import SLOW_FUSIONS, first_line, open_session
from inference.backends.token_tables import encoder_tokenizer
from inference.cards.card import CardError, Deployment
from inference.cards.json_files import read_object
from inference.contracts import TokenIds
from inference.engine.microbatch import Microbatch
from inference.errors import GenerationFailed
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.contracts import Vectors

OUTPUTS = ("sparse_embedding", "sparse_embeddings", "logits")
TOKENS_PER_RUN = 384
"""Padded tokens, measured as for the text encoder."""


def open(deployment: Deployment, settings: Settings) -> SparseEmbeddingModel:  # noqa: A001  the backends' common name
    """Return the card's sparse encoder, running. Raises `CardError`."""
    require_splade_pooling(deployment.folder)
    prompts = named_prompts(deployment)
    session = open_session(deployment.file("model", "model.onnx"), settings, leave_out=SLOW_FUSIONS)
    tokenizer = encoder_tokenizer(deployment, "model", "model.onnx")
    pad = pad_token(deployment.folder, tokenizer)
    graph = TokenGraph(session, role="model", outputs=OUTPUTS, pad=pad)
    head = SparseHead.of(graph, tokenizer.special_tokens)
    context = encoder_context(deployment)
    encoder = SparseEncoder(graph, head, context, settings=settings, name=deployment.name)
    return SparseEmbeddingModel(sparse=encoder, tokenizer=tokenizer, prompts=prompts)


def require_splade_pooling(folder: Path) -> None:
    """Raise `CardError` where modules.json pools in another way than by the greatest log(1 + relu(logit))."""
    for kind, path in sentence_steps(folder):
        if kind != SPLADE_POOLING:
            continue
        config = read_object(folder / path / "config.json")
        for key, known in (("pooling_strategy", "max"), ("activation_function", "relu")):
            if config.get(key, known) != known:
                raise CardError(f"{path}/config.json: {key} is {config[key]}, it must be {known}")


@dataclass(frozen=True, slots=True)
class SparseHead:
    """The step from a graph's output to rows of weights, and from a row to its tokens."""

    by_position: bool
    """True for one number a position; a row then is as long as the context, else as the vocabulary."""
    pooled: bool
    """True if the graph has pooled over the positions itself."""
    ignored: frozenset[int]
    """The tokens that have no weight where positions are weighed."""

    @classmethod
    def of(cls, graph: TokenGraph, special: frozenset[int]) -> SparseHead:
        """Return the head that a graph's output needs."""
        return cls(not graph.pooled and graph.output_shape[-1] == 1, graph.pooled, special)

    def rows(self, output: NDArray[np.float32], lengths: Lengths, context: int) -> Vectors:
        """Return weights of one row an input: [inputs, context] or [inputs, vocabulary]."""
        if self.pooled:
            return output
        inside = (np.arange(output.shape[1]) < lengths[:, None])[:, :, None]
        if self.by_position:
            rows = np.zeros((len(output), context), np.float32)
            rows[:, : output.shape[1]] = np.where(inside, output, 0)[:, :, 0]
            return rows
        greatest = np.where(inside, output, np.float32(0)).max(axis=1)
        return np.asarray(np.log1p(np.maximum(greatest, 0)), np.float32)

    def weights(self, row: NDArray[np.float32], tokens: TokenIds) -> Mapping[int, float]:
        """Return the weights of a row by token id; `tokens` are those of its input."""
        if not self.by_position:
            return {int(index): float(row[index]) for index in np.flatnonzero(row > 0)}
        found: dict[int, float] = {}
        for token, weight in zip(tokens, row[: len(tokens)].tolist(), strict=True):
            if weight > found.get(token, 0) and token not in self.ignored:
                found[token] = weight
        return dict(sorted(found.items()))


class SparseEncoder:
    """A `SparseEmbedder` over one graph, whose runs concurrent requests share."""

    def __init__(
        self, graph: TokenGraph, head: SparseHead, context: int, *, settings: Settings, name: str
    ) -> None:
        """Start the worker thread."""
        self.context = min(context, graph.fixed_length or context)
        """The most tokens of an input."""
        self._graph = graph
        self._head = head
        self._batch: Microbatch[TokenIds] = Microbatch(
            self._run,
            size=lambda tokens: graph.fixed_length or len(tokens),
            budget=TOKENS_PER_RUN,
            queue_limit=settings.queue_limit,
            name=f"weigh {name}",
        )

    async def weigh(self, inputs: Sequence[TokenIds]) -> Sequence[Mapping[int, float]]:
        """Return the weights above zero of each input by token id, the ids rising.

        Raises:
            errors.Busy: Too many requests wait.
            errors.ModelNotReady: The model is closed.
            errors.GenerationFailed: The model fails.
        """
        rows = await self._batch.submit(inputs)
        return [self._head.weights(row, tokens) for row, tokens in zip(rows, inputs, strict=True)]

    def close(self) -> None:
        """Stop the worker thread; requests that wait end with `errors.ModelNotReady`."""
        self._batch.close()

    def _run(self, inputs: Sequence[TokenIds]) -> Vectors:
        if self._graph.can_batch(inputs):
            return self._rows(inputs)
        return np.concatenate([self._rows([tokens]) for tokens in inputs])

    def _rows(self, inputs: Sequence[TokenIds]) -> Vectors:
        try:
            output, lengths = self._graph.run(inputs)
        except Exception as error:
            raise GenerationFailed(f"The model failed: {first_line(error)}") from error
        rows = self._head.rows(output, lengths, self.context)
        if not np.isfinite(rows).all():
            raise GenerationFailed("The model returned numbers that are not finite.")
        return rows
