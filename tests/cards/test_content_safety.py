"""The parts of a card about harm: its changes to the filter's rules, and a classifier's scores."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from inference.cards.content_safety import CardContentSafety, Label


@pytest.mark.parametrize(
    ("score", "severity"),
    [(0, 0), (0.29, 0), (0.3, 2), (0.89, 2), (0.9, 4), (0.95, 6), (1, 6)],
)
def test_a_score_has_the_greatest_severity_that_it_reaches(score: float, severity: int) -> None:
    label = Label.model_validate({"category": "hate", "low": 0.3, "medium": 0.9, "high": 0.95})
    assert label.severity(score) == severity


def test_a_label_may_leave_out_severities() -> None:
    label = Label.model_validate({"category": "violence", "high": 0.5})
    assert label.thresholds == ((6, 0.5),)
    assert [label.severity(score) for score in (0.49, 0.5)] == [0, 6]


@pytest.mark.parametrize(
    ("scores", "problem"),
    [
        ({}, "one of low, medium and high is needed"),
        ({"low": 0.5, "medium": 0.4}, "low, medium and high must rise"),
        ({"low": 0.5, "high": 0.4}, "low, medium and high must rise"),
        ({"low": 1.5}, "less than or equal to 1"),
        ({"high": -0.5}, "greater than or equal to 0"),
    ],
)
def test_scores_that_do_not_rise_from_0_to_1_are_refused(scores: dict[str, float], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Label.model_validate({"category": "hate", **scores})


def test_a_card_overrides_the_fields_that_it_sets_and_no_other() -> None:
    assert CardContentSafety().overrides == {}
    declared: dict[str, Any] = {
        "input": {"violence": {"threshold": "high"}, "hate": {"action": "off"}},
        "mode": "sync",
        "blocklists": ["ours"],
    }
    assert CardContentSafety.model_validate(declared).overrides == {
        "input": {"violence": {"threshold": 6}, "hate": {"action": "off"}},
        "mode": "sync",
        "blocklists": ("ours",),
    }


@pytest.mark.parametrize(("level", "severity"), [("low", 2), ("medium", 4), ("high", 6), (1, 1), (7, 7)])
def test_a_threshold_is_a_level_or_a_severity(level: str | int, severity: int) -> None:
    card = CardContentSafety.model_validate({"output": {"sexual": {"threshold": level}}})
    assert card.overrides == {"output": {"sexual": {"threshold": severity}}}


@pytest.mark.parametrize("threshold", [0, 8, "extreme", "off"])
def test_a_threshold_beyond_the_severities_is_refused(threshold: str | int) -> None:
    with pytest.raises(ValidationError):
        CardContentSafety.model_validate({"input": {"hate": {"threshold": threshold}}})
