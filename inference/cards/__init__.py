"""Deployment cards: the `model.json` of a deployment as a typed, validated value."""

from pydantic import BaseModel, ConfigDict

__all__ = ["CardPart"]


class CardPart(BaseModel):
    """Base of every object in a card: immutable, without unknown keys, with finite numbers only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
