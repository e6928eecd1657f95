"""Numbers for a text, or for two that belong together, by any ONNX export for sequence classification.

The graph's output is `logits` or `probabilities`, [inputs, labels]. config.json has the labels' names
(`id2label`). The activation that makes scores of the output is the card's, else the one that the model's
files name as sentence-transformers writes them, else by `problem_type` and the number of labels. A model with
one label ranks documents (`cross_encoder`), one with several classifies texts (`text_classifier`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inference.backends.encoder.token_graph import TokenGraph
from inference.backends.loaded_models import RerankModel
from inference.backends.model_files import encoder_context, named_prompts, pad_token
from inference.backends.session import SLOW_FUSIONS, first_line, open_session
from inference.backends.token_tables import encoder_tokenizer
from inference.cards.card import CARD_FILE, CardError, Deployment
from inference.cards.json_files import inner_object, read_object
from inference.contracts import TokenizedInput
from inference.engine.microbatch import Microbatch
from inference.errors import GenerationFailed
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.contracts import Vectors

OUTPUTS = ("logits", "probabilities")
TOKENS_PER_RUN = 384
"""Padded tokens, measured as for the text encoder."""
SENTENCE_FILE = "config_sentence_transformers.json"
ACTIVATIONS: Mapping[str, str] = {"Sigmoid": "sigmoid", "Softmax": "softmax", "Identity": "none"}
"""The activations of sentence-transformers by the last word of their path, and the card's names of them."""


def open(deployment: Deployment, settings: Settings) -> RerankModel:  # noqa: A001  the backends' common name
    """Return the card's cross-encoder, running. Raises `CardError`, also for more than one label."""
    prompts = named_prompts(deployment)
    scorer, tokenizer = open_scorer(deployment, settings)
    if len(scorer.labels) != 1:
        scorer.close()
        raise CardError(
            f"files.model: the graph has {len(scorer.labels)} labels, a model of type rerank has one; "
            "a model with several is a text-classification"
        )
    return RerankModel(scorer=scorer, tokenizer=tokenizer, prompt=prompts.text(None))


def open_scorer(deployment: Deployment, settings: Settings) -> tuple[SequenceScorer, Tokenizer]:
    """Return the card's model of scores, running, with its tokenizer. Raises `CardError`."""
    folder = deployment.folder
    activation = deployment.card.classification.activation or None
    session = open_session(deployment.file("model", "model.onnx"), settings, leave_out=SLOW_FUSIONS)
    tokenizer = encoder_tokenizer(deployment, "model", "model.onnx")
    graph = TokenGraph(session, role="model", outputs=OUTPUTS, pad=pad_token(folder, tokenizer))
    if not graph.pooled:
        raise CardError(
            "files.model: the output is not [inputs, labels]; export the model for sequence classification"
        )
    labels = label_names(read_object(folder / "config.json"), graph.output_shape[1])
    scorer = SequenceScorer(
        graph,
        labels,
        activation or declared_activation(folder, len(labels)),
        context=encoder_context(deployment),
        settings=settings,
        name=deployment.name,
    )
    return scorer, tokenizer


class SequenceScorer:
    """A `TextScorer` over one graph, whose runs concurrent requests share."""

    def __init__(
        self,
        graph: TokenGraph,
        labels: Sequence[str],
        activation: str,
        *,
        context: int,
        settings: Settings,
        name: str,
    ) -> None:
        """Start the worker thread."""
        self.labels = labels
        self.context = min(context, graph.fixed_length or context)
        """The most tokens of an input."""
        self._activation = activation
        self._graph = graph
        self._batch: Microbatch[TokenizedInput] = Microbatch(
            self._run,
            size=lambda one: graph.fixed_length or len(one.ids),
            budget=TOKENS_PER_RUN,
            queue_limit=settings.queue_limit,
            name=f"score {name}",
        )

    async def score(self, inputs: Sequence[TokenizedInput], *, raw: bool = False) -> Vectors:
        """Return one row an input, in order: float32 [inputs, labels], the graph's own numbers if `raw`.

        Raises:
            errors.Busy: Too many requests wait.
            errors.ModelNotReady: The model is closed.
            errors.GenerationFailed: The model fails.
        """
        output = await self._batch.submit(inputs)
        return output if raw else activated(output, self._activation)

    def close(self) -> None:
        """Stop the worker thread; inputs that wait end with `errors.ModelNotReady`."""
        self._batch.close()

    def _run(self, inputs: Sequence[TokenizedInput]) -> Vectors:
        if self._graph.can_batch([one.ids for one in inputs]):
            return self._output(inputs)
        return np.concatenate([self._output([one]) for one in inputs])

    def _output(self, inputs: Sequence[TokenizedInput]) -> Vectors:
        try:
            output, _ = self._graph.run([one.ids for one in inputs], [one.types for one in inputs])
        except Exception as error:
            raise GenerationFailed(f"The model failed: {first_line(error)}") from error
        # NaN reaches no threshold, and so would pass as safe.
        if not np.isfinite(output).all():
            raise GenerationFailed("The model returned numbers that are not finite.")
        return output


def activated(output: NDArray[np.float32], activation: str) -> Vectors:
    """Return the scores of a graph's output, both [inputs, labels]: from 0 to 1 but for `none`."""
    if activation == "none":
        return output
    if activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-np.clip(output, -60, 60))), np.float32)
    exponentials = np.exp(output - output.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)


def label_names(config: Mapping[str, Any], count: int) -> list[str]:
    """Return the names of a graph's labels, `LABEL_n` where config.json has none."""
    id2label = config.get("id2label")
    names = id2label if isinstance(id2label, Mapping) else {}
    return [str(names.get(str(index), f"LABEL_{index}")) for index in range(count)]


def declared_activation(folder: Path, count: int) -> str:
    """Return the activation of a model with `count` labels, by its files.

    sentence-transformers writes it into its own file since version 6, into config.json before; what it says
    counts for models of one label, as it declares none for most of several. Raises `CardError` for another.
    """
    config = read_object(folder / "config.json")
    stated = (
        read_object(folder / SENTENCE_FILE).get("activation_fn")
        or inner_object(config, "sentence_transformers").get("activation_fn")
        or config.get("sbert_ce_default_activation_function")
    )
    if count > 1:
        multi_label = config.get("problem_type") == "multi_label_classification"
        return "sigmoid" if multi_label else "softmax"
    if stated is None:
        return "sigmoid"
    name = str(stated).rpartition(".")[2]
    if name not in ACTIVATIONS:
        raise CardError(
            f"the model's activation is {stated}, known are {', '.join(ACTIVATIONS)}; "
            f"declare classification.activation in {CARD_FILE}"
        )
    return ACTIVATIONS[name]
