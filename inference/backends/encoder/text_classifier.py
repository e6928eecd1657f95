"""Classification of texts by any ONNX export for sequence classification, and of their harm.

The labels' names and the activation come from the model's files (`sequence_scorer`); the card may override
the activation. For the content filter the card maps labels to categories of harm, and their scores to
severities.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.backends.encoder.sequence_scorer import open_scorer
from inference.backends.loaded_models import ClassifierModel
from inference.backends.model_files import named_prompts
from inference.cards.card import CARD_FILE, CardError, Deployment
from inference.cards.content_safety import Label
from inference.contracts import HarmCategory, TextScorer, TokenIds, TokenizedInput
from inference.prompt.tokenizer import Tokenizer
from inference.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.contracts import Vectors

OVERLAP = 64
"""Characters that the halves of an overlong text share."""


def open(deployment: Deployment, settings: Settings) -> ClassifierModel:  # noqa: A001  the backends' common name
    """Return the card's classifier, running. Raises `CardError`."""
    prompts = named_prompts(deployment)
    scorer, tokenizer = open_scorer(deployment, settings)
    try:
        head = _classification_head(deployment, scorer.labels)
    except CardError:
        scorer.close()
        raise
    classifier = OnnxTextClassifier(scorer, TokenSplitter(tokenizer, scorer.context), head)
    return ClassifierModel(classifier=classifier, scorer=scorer, tokenizer=tokenizer, prompts=prompts)


@dataclass(frozen=True, slots=True)
class ClassificationHead:
    """The step from scores to severities: the card's label of each column."""

    columns: Mapping[int, Label]
    """The output's columns that have a label in the card."""

    @property
    def categories(self) -> frozenset[HarmCategory]:
        """The categories of harm of all labels."""
        return frozenset(label.category for label in self.columns.values())

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
    """A `TextClassifier` over a model of scores, whose runs concurrent texts share."""

    def __init__(self, scorer: TextScorer, splitter: TokenSplitter, head: ClassificationHead) -> None:
        self.categories = head.categories
        self._scorer = scorer
        self._splitter = splitter
        self._head = head

    async def classify(self, text: str) -> Mapping[HarmCategory, int]:
        """Return the greatest severity of each category in any part of the text.

        Raises:
            errors.Busy: Too many texts wait.
            errors.ModelNotReady: The classifier is closed.
            errors.GenerationFailed: The model fails.
        """
        parts = [TokenizedInput(part) for part in self._splitter.split(text)]
        return self._head.severities(await self._scorer.score(parts))

    def close(self) -> None:
        """Stop the worker thread; texts that wait end with `errors.ModelNotReady`."""
        self._scorer.close()


def _classification_head(deployment: Deployment, names: Sequence[str]) -> ClassificationHead:
    """Return the head of a graph with labels of these names. Raises `CardError` for one the graph lacks."""
    declared = deployment.card.classification
    if unknown := [label for label in declared.labels if label not in names]:
        raise CardError(
            f"{CARD_FILE}: classification.labels: {', '.join(unknown)} is not one of {', '.join(names)}"
        )
    return ClassificationHead({names.index(name): label for name, label in declared.labels.items()})
