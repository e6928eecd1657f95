"""Harm judged on this machine: any ONNX sequence-classification export, its labels explained by the card.

The graph's output is `logits` or `probabilities`, [inputs, labels]. config.json has the labels' names
(`id2label`) and says what makes scores of the output: `problem_type` multi_label_classification is a sigmoid,
anything else of several labels a softmax; the card may say otherwise. The card says which harm a label stands
for, and from which score it is how severe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inference.backends.encoder.token_graph import TokenGraph
from inference.backends.loaded_models import ClassifierModel
from inference.backends.model_files import context_of, pad_token, read_object
from inference.backends.session import SLOW_NORMS, first_line, open_session
from inference.cards.card import CARD_FILE, CardError, Deployment
from inference.cards.content_safety import Label
from inference.contracts import HarmCategory, TokenIds
from inference.engine.microbatch import Microbatch
from inference.errors import GenerationFailed
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.contracts import Vectors

OUTPUTS = ("logits", "probabilities")
TOKENS_PER_RUN = 512
"""Padded tokens, as of the text encoder."""
OVERLAP = 64
"""Characters that the halves of a text share that is too long."""


def open(deployment: Deployment, settings: Settings) -> ClassifierModel:  # noqa: A001  the backends' common name
    """The card's classifier, running. Raises `CardError`."""
    session = open_session(deployment.file("model", "model.onnx"), settings, leave_out=SLOW_NORMS)
    tokenizer = Tokenizer.open(deployment.file("tokenizer", "tokenizer.json"))
    graph = TokenGraph(session, role="model", outputs=OUTPUTS, pad=pad_token(deployment.folder, tokenizer))
    if len(graph.shape) != 2:
        raise CardError(
            "files.model: the output is not [inputs, labels]; export it for sequence classification"
        )
    classifier = OnnxTextClassifier(
        graph,
        tokenizer,
        columns=_columns(deployment, graph.shape[1]),
        activation=_activation(deployment, graph.shape[1]),
        context=min(context_of(deployment), graph.positions or context_of(deployment)),
        settings=settings,
        name=deployment.name,
    )
    return ClassifierModel(classifier=classifier)


class OnnxTextClassifier:
    """A `TextClassifier`: concurrent texts share the runs of one graph."""

    def __init__(
        self,
        graph: TokenGraph,
        tokenizer: Tokenizer,
        *,
        columns: Mapping[int, Label],
        activation: str,
        context: int,
        settings: Settings,
        name: str,
    ) -> None:
        """`columns` are the output's that mean something."""
        self.categories = frozenset(label.category for label in columns.values())
        self._graph = graph
        self._tokenizer = tokenizer
        self._columns = columns
        self._activation = activation
        self._context = context
        self._batch: Microbatch[TokenIds] = Microbatch(
            self._run,
            size=lambda tokens: graph.positions or len(tokens),
            budget=TOKENS_PER_RUN,
            queue_limit=settings.queue_limit,
            name=f"classify {name}",
        )

    async def classify(self, text: str) -> Mapping[HarmCategory, int]:
        """The greatest severity of each category in any part of the text.

        Raises `errors.Busy`, `errors.ModelNotReady` when closed, `errors.GenerationFailed`.
        """
        scores = await self._batch.submit(list(self._parts(text)))
        severities = dict.fromkeys(self.categories, 0)
        for column, label in self._columns.items():
            severity = label.severity(float(scores[:, column].max()))
            severities[label.category] = max(severities[label.category], severity)
        return severities

    def close(self) -> None:
        """Gives the worker thread back; texts that wait end with `errors.ModelNotReady`."""
        self._batch.close()

    def _parts(self, text: str) -> Iterator[TokenIds]:
        """The tokens of a text, halved with an overlap until every part fits into the context."""
        ids = self._tokenizer.encode(text, special=True)
        if len(ids) <= self._context or len(text) <= 1:
            yield ids[: self._context]
            return
        middle, overlap = len(text) // 2, min(OVERLAP, len(text) // 4)
        yield from self._parts(text[: middle + overlap])
        yield from self._parts(text[max(middle - overlap, 1) :])

    def _run(self, inputs: Sequence[TokenIds]) -> Vectors:
        if self._graph.shares(inputs):
            return self._scores(inputs)
        return np.concatenate([self._scores([tokens]) for tokens in inputs])

    def _scores(self, inputs: Sequence[TokenIds]) -> Vectors:
        try:
            output, _ = self._graph.run(inputs)
        except Exception as error:
            raise GenerationFailed(f"The model failed: {first_line(error)}") from error
        # A score that is no number would be taken for safe.
        if not np.isfinite(output).all():
            raise GenerationFailed("The model gave numbers that are not finite.")
        return activated(output, self._activation)


def activated(output: NDArray[np.float32], activation: str) -> Vectors:
    """Scores from 0 to 1 of a graph's output, [inputs, labels]."""
    if activation == "none":
        return output
    if activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-np.clip(output, -60, 60))), np.float32)
    powers = np.exp(output - output.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _columns(deployment: Deployment, count: int) -> Mapping[int, Label]:
    """The output's columns with the labels of the card. Raises `CardError` for a label that is none."""
    names = _names(read_object(deployment.folder / "config.json"), count)
    labels = deployment.card.classification.labels
    if unknown := [label for label in labels if label not in names]:
        known = ", ".join(names)
        raise CardError(f"{CARD_FILE}: classification.labels: {', '.join(unknown)} is none of {known}")
    return {names.index(name): label for name, label in labels.items()}


def _names(config: Mapping[str, Any], count: int) -> list[str]:
    given = config.get("id2label")
    named = given if isinstance(given, Mapping) else {}
    return [str(named.get(str(number), f"LABEL_{number}")) for number in range(count)]


def _activation(deployment: Deployment, count: int) -> str:
    declared = deployment.card.classification.activation
    if declared is not None:
        return declared
    problem = read_object(deployment.folder / "config.json").get("problem_type")
    return "sigmoid" if problem == "multi_label_classification" or count == 1 else "softmax"
