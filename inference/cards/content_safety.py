"""The parts of a card about harm: the policy of a deployment, and what a classifier's labels mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from inference.contracts import HarmCategory

LEVELS = {"low": 2, "medium": 4, "high": 6}
"""Words for severities, as the settings have them."""

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


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class HarmRule(_Strict):
    """What is absent stays as the settings have it."""

    threshold: Severity = Field(4, description="From which severity it counts: low, medium, high, or 1 to 7.")
    action: Action = "block"


class CardContentSafety(_Strict):
    """How a deployment's policy differs from the settings', to either side; absent fields change nothing."""

    input: Mapping[HarmCategory, HarmRule] = Field(default_factory=dict)
    output: Mapping[HarmCategory, HarmRule] = Field(default_factory=dict)
    blocklists: tuple[str, ...] = Field((), description="Instead of the settings' blocklists.")
    jailbreak: Action = "off"
    indirect_attack: Action = "off"
    protected_material_text: Action = "off"
    protected_material_code: Action = "off"
    mode: Literal["sync", "async"] = "sync"
    images: bool = True

    @property
    def changes(self) -> Mapping[str, Any]:
        """The fields that the card sets."""
        return self.model_dump(exclude_unset=True)


class Label(_Strict):
    """Which harm a label stands for, and from which score it is how severe."""

    category: HarmCategory
    low: Score | None = None
    medium: Score | None = None
    high: Score | None = None

    @model_validator(mode="after")
    def _rises(self) -> Label:
        scores = [score for _, score in self.steps]
        if not scores:
            raise ValueError("one of low, medium and high is needed: the score from which it is that severe")
        if scores != sorted(scores):
            raise ValueError("low, medium and high must rise")
        return self

    @property
    def steps(self) -> tuple[tuple[int, float], ...]:
        """Severities with the scores they begin at, the mildest first."""
        named = ((LEVELS[word], getattr(self, word)) for word in LEVELS)
        return tuple((severity, score) for severity, score in named if score is not None)

    def severity(self, score: float) -> int:
        """How severe a score is, 0 where it is safe."""
        return max((severity for severity, start in self.steps if score >= start), default=0)


class Classification(_Strict):
    """What a classifier's scores mean."""

    labels: Mapping[str, Label] = Field(
        default_factory=dict, description="By the name that config.json has for it; others are not looked at."
    )
    activation: Literal["sigmoid", "softmax", "none"] | None = Field(
        None, description="What makes scores of the graph's output; absent: what config.json says."
    )
