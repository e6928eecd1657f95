"""The loss of int8 in models that score: how far the scores of sample texts lie apart, before and after."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from inference.backends import BACKENDS
from inference.backends.loaded_models import ClassifierModel, RerankModel, SparseEmbeddingModel
from inference.cards.card import CardError, Deployment
from inference.contracts import TokenizedInput
from inference.importer.int8 import SAMPLE_TEXTS
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.backends.loaded_models import LoadedModel
    from inference.contracts import Vectors
    from inference.prompt.tokenizer import Tokenizer

QUERIES = SAMPLE_TEXTS[:4]
"""The queries that are scored with every sample text."""


@dataclass(frozen=True, slots=True)
class ScoreLoss:
    """Differences of scores between a deployment and another form of it."""

    mean: float
    largest: float
    lowest: float
    """The lowest score of the original, and the highest: the range that a difference is to be seen in."""
    highest: float

    def __str__(self) -> str:
        return (
            f"differ by {self.largest:.4f} at most and {self.mean:.4f} on average, and lie between "
            f"{self.lowest:.4f} and {self.highest:.4f}"
        )


def score_loss(original: Deployment, other: Deployment, settings: Settings) -> ScoreLoss:
    """Return the loss of the scores of sample texts, or of sample pairs, each run alone.

    The deployments are opened one after the other; no event loop may be running. Raises `CardError` for a
    deployment that cannot be opened or gives no scores.
    """
    import numpy as np

    first, second = (_scores(deployment, settings) for deployment in (original, other))
    apart = np.abs(first - second)
    return ScoreLoss(float(apart.mean()), float(apart.max()), float(first.min()), float(first.max()))


def _scores(deployment: Deployment, settings: Settings) -> Vectors:
    model = BACKENDS[deployment.card.backend].open(deployment, settings)
    try:
        return asyncio.run(_run(deployment.name, model))
    finally:
        model.close()


async def _run(name: str, model: LoadedModel) -> Vectors:
    import numpy as np

    match model:
        case RerankModel():
            pairs = list(product(QUERIES, SAMPLE_TEXTS))
            parts = model.tokenizer.encode_batch(SAMPLE_TEXTS, special=False)
            tokens = dict(zip(SAMPLE_TEXTS, parts, strict=True))
            template, context = model.tokenizer.pair_template, model.scorer.context
            inputs = [template.fitted(tokens[query], tokens[text], context) for query, text in pairs]
            return np.concatenate([await model.scorer.score([one]) for one in inputs])
        case ClassifierModel():
            texts = _cut(model.tokenizer, model.scorer.context)
            return np.concatenate([await model.scorer.score([TokenizedInput(ids)]) for ids in texts])
        case SparseEmbeddingModel():
            texts = _cut(model.tokenizer, model.sparse.context)
            weighed = [(await model.sparse.weigh([ids]))[0] for ids in texts]
            return _dense(weighed, model.tokenizer.vocabulary_size)
        case _:
            raise CardError(f"{name} gives no scores")


def _cut(tokenizer: Tokenizer, context: int) -> list[list[int]]:
    return [ids[:context] for ids in tokenizer.encode_batch(SAMPLE_TEXTS, special=True)]


def _dense(weighed: Sequence[Mapping[int, float]], size: int) -> Vectors:
    """Return the weights of every token that a text of either form could have: [texts, vocabulary]."""
    import numpy as np

    rows = np.zeros((len(weighed), size), np.float32)
    for row, weights in zip(rows, weighed, strict=True):
        row[list(weights)] = list(weights.values())
    return rows
