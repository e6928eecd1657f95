"""Classification of harm: labels become categories, scores become severities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.backends.encoder import text_classifier
from inference.backends.encoder.sequence_scorer import activated
from inference.backends.loaded_models import LoadedModel
from inference.cards.card import CardError, load
from inference.contracts import HarmCategory, Route, TextClassifier
from inference.registry.registry import Registry
from inference.settings import Settings
from tests.support import models
from tests.support.classifiers import CONTEXT, LABELS, write_classifier

HATE, VIOLENCE = HarmCategory.HATE, HarmCategory.VIOLENCE


@pytest.fixture
def opening(tmp_path: Path) -> Iterator[Callable[..., TextClassifier]]:
    opened: list[LoadedModel] = []

    def open_one(**options: Any) -> TextClassifier:
        deployment = load(write_classifier(tmp_path, **options))
        opened.append(text_classifier.open(deployment, Settings(threads=1)))
        return models.classifier(opened[-1])

    yield open_one
    for one in opened:
        one.close()


@pytest.mark.parametrize(
    ("text", "severities"),
    [
        ("all is fine", {HATE: 0, VIOLENCE: 0}),
        ("what!", {HATE: 4, VIOLENCE: 0}),
        ("what?", {HATE: 0, VIOLENCE: 6}),
        ("what?!", {HATE: 4, VIOLENCE: 6}),
    ],
)
async def test_scores_become_the_severities_of_their_labels(
    opening: Callable[..., TextClassifier], text: str, severities: Mapping[HarmCategory, int]
) -> None:
    assert await opening().classify(text) == severities


@pytest.mark.parametrize("position", [0, 30, 31, 60, 95, 199])
async def test_long_texts_are_classified_to_their_end(
    opening: Callable[..., TextClassifier], position: int
) -> None:
    text = "x" * position + "!" + "x" * (200 - position)
    assert len(text) > CONTEXT
    assert (await opening().classify(text))[HATE] == 4


async def test_only_the_labels_of_the_card_count(opening: Callable[..., TextClassifier]) -> None:
    classifier = opening(labels={"threat": LABELS["threat"]})
    assert classifier.categories == {VIOLENCE}
    assert await classifier.classify("what?!") == {VIOLENCE: 6}


async def test_the_activation_of_the_card_wins(opening: Callable[..., TextClassifier]) -> None:
    # By a softmax, two labels that are both certain share the certainty.
    assert await opening(activation="softmax").classify("what?!") == {HATE: 2, VIOLENCE: 6}


def test_activations_give_scores_from_0_to_1() -> None:
    logits = np.array([[0.0, 0.0], [100.0, -100.0]], np.float32)
    assert activated(logits, "sigmoid") == pytest.approx(np.array([[0.5, 0.5], [1, 0]]))
    assert activated(logits, "softmax") == pytest.approx(np.array([[0.5, 0.5], [1, 0]]))
    assert activated(logits, "none") is logits


def test_a_label_that_the_model_lacks_is_refused(tmp_path: Path) -> None:
    deployment = load(write_classifier(tmp_path, labels={"rude": {"category": "hate", "low": 0.5}}))
    with pytest.raises(CardError, match="rude is not one of toxic, threat"):
        text_classifier.open(deployment, Settings(threads=1))


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ({"toxic": {"category": "hate"}}, "one of low, medium and high"),
        ({"toxic": {"category": "hate", "low": 0.9, "high": 0.1}}, "must rise"),
        ({"toxic": {"category": "greed", "low": 0.9}}, "category"),
    ],
)
def test_cards_without_usable_labels_are_refused(tmp_path: Path, labels: Any, problem: str) -> None:
    with pytest.raises(CardError, match=problem):
        load(write_classifier(tmp_path, labels=labels))


def test_a_classifier_serves_classify(tmp_path: Path) -> None:
    write_classifier(tmp_path)
    registry = Registry(Settings(models=(tmp_path,)))
    assert not registry.broken
    assert registry.get("tiny-judge").card.routes == {Route.CLASSIFY}
    registry.close()
