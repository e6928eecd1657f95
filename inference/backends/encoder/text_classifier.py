"""Classification of harm by any ONNX export for sequence classification.

The graph's output is `logits` or `probabilities`, [inputs, labels]. config.json has the labels' names
(`id2label`) and the activation that makes scores of the output: `problem_type` multi_label_classification is
a sigmoid, any other of several labels a softmax; the card may override it. The card maps each label to a
category of harm, and its scores to severities.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inference.backends.encoder.token_graph import TokenGraph
from inference.backends.loaded_models import ClassifierModel
from inference.backends.model_files import encoder_context, pad_token
from inference.backends.session import SLOW_FUSIONS, first_line, open_session
from inference.backends.token_tables import encoder_tokenizer
from inference.cards.card import CARD_FILE, CardError, Deployment
from inference.cards.content_safety import Label
from inference.cards.json_files import read_object
from inference.contracts import HarmCategory, TokenIds
from inference.engine.microbatch import Microbatch
from inference.errors import GenerationFailed
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.contracts import Vectors

OUTPUTS = ("logits", "probabilities")
TOKENS_PER_RUN = 512
"""Padded tokens, measured as for the text encoder."""
OVERLAP = 64
"""Characters that the halves of an overlong text share."""


def open(deployment: Deployment, settings: Settings) -> ClassifierModel:  # noqa: A001  the backends' common name
    """Return the card's classifier, running. Raises `CardError`."""
    session = open_session(deployment.file("model", "model.onnx"), settings, leave_out=SLOW_FUSIONS)
    tokenizer = encoder_tokenizer(deployment, "model", "model.onnx")
    graph = TokenGraph(session, role="model", outputs=OUTPUTS, pad=pad_token(deployment.folder, tokenizer))
    if not graph.pooled:
        raise CardError(
            "files.model: the output is not [inputs, labels]; export the model for sequence classification"
        )
    context = encoder_context(deployment)
    classifier = OnnxTextClassifier(
        graph,
        TokenSplitter(tokenizer, min(context, graph.fixed_length or context)),
        _classification_head(deployment, graph.output_shape[1]),
        settings=settings,
        name=deployment.name,
    )
    return ClassifierModel(classifier=classifier)


@dataclass(frozen=True, slots=True)
class ClassificationHead:
    """The steps from a graph's output to severities: activation, then the card's label of each column."""

    columns: Mapping[int, Label]
    """The output's columns that have a label in the card."""
    activation: str

    @property
    def categories(self) -> frozenset[HarmCategory]:
        """The categories of harm of all labels."""
        return frozenset(label.category for label in self.columns.values())

    def scores(self, output: NDArray[np.float32]) -> Vectors:
        """Return scores from 0 to 1 of a graph's output, both [inputs, labels]."""
        if self.activation == "none":
            return output
        if self.activation == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-np.clip(output, -60, 60))), np.float32)
        exponentials = np.exp(output - output.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)

    def severities(self, scores: Vectors) -> Mapping[HarmCategory, int]:
        """Return the greatest severity of each category in any row of the scores, [parts, labels]."""
        severities = dict.fromkeys(self.categories, 0)
        for column, label in self.columns.items():
            severity = label.severity(float(scores[:, column].max()))
            severities[label.category] = max(severities[label.category], severity)
        return severities


@dataclass(frozen=True, slots=True)
class TokenSplitter:
    """A tokenizer of texts of any length into parts that fit a context."""

    tokenizer: Tokenizer
    context: int

    def split(self, text: str) -> Iterator[TokenIds]:
        """Yield the tokens of a text, halved with an overlap until every part fits into the context."""
        ids = self.tokenizer.usable.only(self.tokenizer.encode(text, special=True))
        if len(ids) <= self.context or len(text) <= 1:
            yield ids[: self.context]
            return
        middle, overlap = len(text) // 2, min(OVERLAP, len(text) // 4)
        yield from self.split(text[: middle + overlap])
        yield from self.split(text[max(middle - overlap, 1) :])


class OnnxTextClassifier:
    """A `TextClassifier` over one graph, whose runs concurrent texts share."""

    def __init__(
        self,
        graph: TokenGraph,
        splitter: TokenSplitter,
        head: ClassificationHead,
        *,
        settings: Settings,
        name: str,
    ) -> None:
        self.categories = head.categories
        self._graph = graph
        self._splitter = splitter
        self._head = head
        self._batch: Microbatch[TokenIds] = Microbatch(
            self._run,
            size=lambda tokens: graph.fixed_length or len(tokens),
            budget=TOKENS_PER_RUN,
            queue_limit=settings.queue_limit,
            name=f"classify {name}",
        )

    async def classify(self, text: str) -> Mapping[HarmCategory, int]:
        """Return the greatest severity of each category in any part of the text.

        Raises:
            errors.Busy: Too many texts wait.
            errors.ModelNotReady: The classifier is closed.
            errors.GenerationFailed: The model fails.
        """
        return self._head.severities(await self._batch.submit(list(self._splitter.split(text))))

    def close(self) -> None:
        """Stop the worker thread; texts that wait end with `errors.ModelNotReady`."""
        self._batch.close()

    def _run(self, inputs: Sequence[TokenIds]) -> Vectors:
        if self._graph.can_batch(inputs):
            return self._scores(inputs)
        return np.concatenate([self._scores([tokens]) for tokens in inputs])

    def _scores(self, inputs: Sequence[TokenIds]) -> Vectors:
        try:
            output, _ = self._graph.run(inputs)
        except Exception as error:
            raise GenerationFailed(f"The model failed: {first_line(error)}") from error
        # NaN reaches no threshold, and so would pass as safe.
        if not np.isfinite(output).all():
            raise GenerationFailed("The model returned numbers that are not finite.")
        return self._head.scores(output)


def _classification_head(deployment: Deployment, count: int) -> ClassificationHead:
    """Return the head of a graph with `count` labels. Raises `CardError` for a label the graph lacks."""
    config = read_object(deployment.folder / "config.json")
    declared = deployment.card.classification
    names = _label_names(config, count)
    if unknown := [label for label in declared.labels if label not in names]:
        raise CardError(
            f"{CARD_FILE}: classification.labels: {', '.join(unknown)} is not one of {', '.join(names)}"
        )
    columns = {names.index(name): label for name, label in declared.labels.items()}
    return ClassificationHead(columns, declared.activation or _activation(config, count))


def _label_names(config: Mapping[str, Any], count: int) -> list[str]:
    id2label = config.get("id2label")
    names = id2label if isinstance(id2label, Mapping) else {}
    return [str(names.get(str(index), f"LABEL_{index}")) for index in range(count)]


def _activation(config: Mapping[str, Any], count: int) -> str:
    multi_label = config.get("problem_type") == "multi_label_classification"
    return "sigmoid" if multi_label or count == 1 else "softmax"
