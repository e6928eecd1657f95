"""Text embeddings by an ONNX encoder of any family whose graph and files describe its use.

Pooling, the layers after it and normalisation come from the card, else from modules.json; the context from
the card, else from the smallest limit in the model's files; the dimensions from a first run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from inference.backends.encoder.pooling import EmbeddingHead
from inference.backends.encoder.sentence_modules import embedding_head
from inference.backends.encoder.sparse_encoder import SparseEncoder, SparseHead
from inference.backends.encoder.tasks import EncoderTasks, tasks_of
from inference.backends.encoder.token_graph import POOLED_OUTPUTS, TOKEN_OUTPUTS, TokenGraph
from inference.backends.loaded_models import TextEmbeddingModel
from inference.backends.model_files import (
    encoder_context,
    is_dual_encoder,
    pad_token,
    prompts_of,
)
from inference.backends.session import SLOW_FUSIONS, first_line, open_session
from inference.backends.token_tables import encoder_tokenizer
from inference.cards.card import CardError, Deployment
from inference.contracts import TokenIds
from inference.engine.microbatch import Microbatch
from inference.errors import GenerationFailed
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

if TYPE_CHECKING:
    import onnxruntime as ort

    from inference.contracts import Vectors

TOWER_OUTPUT = "pooler_output"
"""SigLIP's name of the vector that is shared with images; in other encoders it is no embedding."""
TOKENS_PER_RUN = 384
"""Padded tokens. By processor time 256 to 384 are best for mixed lengths, 512 takes 5 % more, 1024 20 % more,
in float and in 8 bit (all-MiniLM-L6-v2): the memory that a run touches stays in the cache."""


def open(deployment: Deployment, settings: Settings) -> TextEmbeddingModel:  # noqa: A001  the backends' common name
    """Return the card's text encoder, running. Raises `CardError`."""
    session = open_session(deployment.file("model", "model.onnx"), settings, leave_out=SLOW_FUSIONS)
    tokenizer = encoder_tokenizer(deployment, "model", "model.onnx")
    limits, tower = TokenLimits.of(deployment, tokenizer), is_dual_encoder(deployment.folder)
    pools = deployment.card.embedding.pooling not in (None, "none")
    pooled = (*POOLED_OUTPUTS, TOWER_OUTPUT) if tower else POOLED_OUTPUTS
    graph = TokenGraph(
        session,
        role="model",
        outputs=(*TOKEN_OUTPUTS, *pooled) if pools else (*pooled, *TOKEN_OUTPUTS),
        pad=pad_token(deployment.folder, tokenizer),
        # Towers without a mask were trained on texts padded to the context, and attend to the padding.
        unmasked_length=limits.context if tower else None,
    )
    tasks = _tasks(deployment, graph)
    encoder = TextEncoder(
        graph,
        embedding_head(deployment, pooled=graph.pooled),
        limits,
        settings=settings,
        name=deployment.name,
    )
    return TextEmbeddingModel(
        embedder=encoder,
        tokenizer=tokenizer,
        prompts=prompts_of(deployment),
        tasks=tasks,
        sparse=_sparse(deployment, session, tokenizer, limits, settings),
    )


def _tasks(deployment: Deployment, graph: TokenGraph) -> EncoderTasks | None:
    """Return the tasks of a graph that reads them. Raises `CardError` where graph and files differ."""
    tasks = tasks_of(deployment) if graph.reads_task else None
    if graph.reads_task and tasks is None:
        raise CardError(
            "files.model: the graph reads task_id, and neither embedding.tasks of model.json nor "
            "lora_adaptations of config.json names its tasks"
        )
    if deployment.card.embedding.tasks and not graph.reads_task:
        raise CardError("embedding.tasks is declared, and the graph has no input task_id")
    return tasks


def _sparse(
    deployment: Deployment,
    session: ort.InferenceSession,
    tokenizer: Tokenizer,
    limits: TokenLimits,
    settings: Settings,
) -> SparseEncoder | None:
    """Return the encoder of the card's second output, the weights of tokens; None where it has none."""
    output = deployment.card.embedding.sparse
    if output is None:
        return None
    pad = pad_token(deployment.folder, tokenizer)
    graph = TokenGraph(session, role="model", outputs=(output,), pad=pad)
    head = SparseHead.of(graph, tokenizer.special_tokens)
    return SparseEncoder(graph, head, limits.context, settings=settings, name=deployment.name)


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """The bounds of an input of a model."""

    context: int
    """The most tokens."""
    vocabulary: int
    """The exclusive upper bound of token ids."""

    @classmethod
    def of(cls, deployment: Deployment, tokenizer: Tokenizer) -> TokenLimits:
        """Return the limits in a deployment's card and files. Raises `CardError`."""
        return cls(encoder_context(deployment), tokenizer.vocabulary_size)


class EncoderInput(NamedTuple):
    """The tokens of one input, the first `prompt_length` of them a prompt, and the number of its task."""

    tokens: TokenIds
    prompt_length: int
    task: int


class TextEncoder:
    """A `TextEmbedder` over one graph, whose runs concurrent requests share."""

    def __init__(
        self,
        graph: TokenGraph,
        head: EmbeddingHead,
        limits: TokenLimits,
        *,
        settings: Settings,
        name: str,
    ) -> None:
        """Start the worker thread. Raises `CardError` for a head that does not fit the graph's output."""
        self.dimensions = _dimensions(graph, head)
        self.context = min(limits.context, graph.fixed_length or limits.context)
        """The most tokens of an input."""
        self.vocabulary = limits.vocabulary
        """The exclusive upper bound of token ids."""
        self._graph = graph
        self._head = head
        self._batch: Microbatch[EncoderInput] = Microbatch(
            self._run,
            size=lambda entry: graph.fixed_length or len(entry.tokens),
            budget=TOKENS_PER_RUN,
            queue_limit=settings.queue_limit,
            name=f"embed {name}",
        )

    async def embed(self, inputs: Sequence[TokenIds], *, prompt: int = 0, task: int = 0) -> Vectors:
        """Return one row an input, in order: float32 [inputs, dimensions].

        The first `prompt` tokens of every input are the model's prompt; `task` is the number of their task.

        Raises:
            ValueError: An input has not 1 to `context` ids from 0 to below `vocabulary`.
            errors.Busy: Too many requests wait.
            errors.ModelNotReady: The model is closed.
            errors.GenerationFailed: The model fails.
        """
        if not inputs:
            return np.empty((0, self.dimensions), np.float32)
        for tokens in inputs:
            if not 1 <= len(tokens) <= self.context:
                raise ValueError(f"an input has {len(tokens)} tokens, the model takes 1 to {self.context}")
        return await self._batch.submit([EncoderInput(tokens, prompt, task) for tokens in inputs])

    def close(self) -> None:
        """Stop the worker thread; requests that wait end with `errors.ModelNotReady`."""
        self._batch.close()

    def _run(self, entries: Sequence[EncoderInput]) -> Vectors:
        inputs = [entry.tokens for entry in entries]
        self._check_ids(inputs)
        if len(tasks := {entry.task for entry in entries}) > 1:
            return self._run_tasks(entries, tasks)
        if self._graph.can_batch(inputs):
            return self._embed(entries)
        return np.concatenate([self._embed([entry]) for entry in entries])

    def _run_tasks(self, entries: Sequence[EncoderInput], tasks: Iterable[int]) -> Vectors:
        """Run the inputs of each task together: a run has one."""
        vectors = np.empty((len(entries), self.dimensions), np.float32)
        for task in tasks:
            rows = [row for row, entry in enumerate(entries) if entry.task == task]
            vectors[rows] = self._run([entries[row] for row in rows])
        return vectors

    def _check_ids(self, inputs: Sequence[TokenIds]) -> None:
        """Raise `ValueError` for an unknown id: some graphs read other weights for it instead of failing."""
        for tokens in inputs:
            if min(tokens) < 0 or max(tokens) >= self.vocabulary:
                raise ValueError(f"a token id lies outside the vocabulary of {self.vocabulary}")

    def _embed(self, entries: Sequence[EncoderInput]) -> Vectors:
        try:
            output, lengths = self._graph.run([entry.tokens for entry in entries], task=entries[0].task)
        except Exception as error:
            raise GenerationFailed(f"The model failed: {first_line(error)}") from error
        prompt_lengths = np.array([entry.prompt_length for entry in entries])
        return require_finite(self._head(output, lengths, prompt_lengths))


def _dimensions(graph: TokenGraph, head: EmbeddingHead) -> int:
    """Return the numbers of an embedding, by a run of the head on zeros. Raises `CardError`."""
    lengths = np.ones(graph.output_shape[0], np.intp)
    try:
        return int(head(np.zeros(graph.output_shape, np.float32), lengths).shape[1])
    except ValueError as error:
        size = graph.output_shape[-1]
        raise CardError(f"modules.json: a module does not take vectors of {size} numbers: {error}") from error


def require_finite(vectors: Vectors) -> Vectors:
    """Return the vectors if all numbers are finite. Raises `errors.GenerationFailed`."""
    if not isfinite(np.vdot(vectors, vectors)):
        raise GenerationFailed("The model returned numbers that are not finite.")
    return vectors
