"""The parts of a card about harm: a deployment's content filter, and the labels of a text classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from inference.cards import CardPart
from inference.contracts import HarmCategory

LEVELS = {"low": 2, "medium": 4, "high": 6}
"""Severity of each level, as in the settings."""

Action = Literal["block", "annotate", "off"]
Score = Annotated[float, Field(ge=0, le=1)]
Severity = Annotated[
    int,
    BeforeValidator(
        lambda value: LEVELS.get(value, value) if isinstance(value, str) else value,
        json_schema_input_type=Literal["low", "medium", "high"] | int,
    ),
    Field(ge=1, le=7),
]


class HarmRule(CardPart):
    """The rule for one category of harm; absent fields stay as in the settings."""

    threshold: Severity = Field(4, description="Lowest severity that counts: low, medium, high, or 1 to 7.")
    action: Action = "block"


class CardContentSafety(CardPart):
    """A deployment's content filter, stricter or looser than the settings'; absent fields change nothing."""

    input: Mapping[HarmCategory, HarmRule] = Field(default_factory=dict)
    output: Mapping[HarmCategory, HarmRule] = Field(default_factory=dict)
    blocklists: tuple[str, ...] = Field((), description="Blocklists, instead of the settings'.")
    jailbreak: Action = "off"
    indirect_attack: Action = "off"
    protected_material_text: Action = "off"
    protected_material_code: Action = "off"
    mode: Literal["sync", "async"] = "sync"
    images: bool = True

    @property
    def overrides(self) -> Mapping[str, Any]:
        """Fields that the card sets, which override the settings."""
        return self.model_dump(exclude_unset=True)


class Label(CardPart):
    """The category of harm of a classifier's label, and the lowest score of each severity."""

    category: HarmCategory
    low: Score | None = None
    medium: Score | None = None
    high: Score | None = None

    @model_validator(mode="after")
    def _check_scores(self) -> Label:
        scores = [score for _, score in self.thresholds]
        if not scores:
            raise ValueError("one of low, medium and high is needed: the lowest score of that severity")
        if scores != sorted(scores):
            raise ValueError("low, medium and high must rise")
        return self

    @property
    def thresholds(self) -> tuple[tuple[int, float], ...]:
        """Severities with their lowest scores, the mildest first."""
        named = ((LEVELS[word], getattr(self, word)) for word in LEVELS)
        return tuple((severity, score) for severity, score in named if score is not None)

    def severity(self, score: float) -> int:
        """Return the severity of a score; 0 is safe."""
        return max((severity for severity, lowest in self.thresholds if score >= lowest), default=0)


class Classification(CardPart):
    """The meaning of the scores of a text classifier or a cross-encoder."""

    labels: Mapping[str, Label] = Field(
        default_factory=dict,
        description="The harm of labels, by their names in config.json, for the content filter; the others "
        "are none.",
    )
    activation: Literal["sigmoid", "softmax", "none"] | None = Field(
        None, description="The function from the graph's output to scores; absent: that of the model's files."
    )
