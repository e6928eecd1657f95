"""The README of the deployment folder, with the measured accuracy in it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from tools.graphs.decoder_weights import weight_shapes
from training.chat.recipe import SEED, SHAPE, STAGES

CARD = Path(__file__).with_name("card.md")


OUT_OF_REACH = "everyday prompts"
"""The skill that counts an admission, whatever its words, and so is no part of the sum."""


def score_rows(record: list[dict[str, Any]]) -> list[str]:
    """Table rows of skill and the two shares of right answers, the sum over all skills last."""
    sides = ("held_out", "trained")
    exact = [score for score in record if score["skill"] != OUT_OF_REACH]
    others = [score for score in record if score["skill"] == OUT_OF_REACH]
    total = {side: [sum(score[side][place] for score in exact) for place in (0, 1)] for side in sides}
    scores = [*exact, {"skill": "**all**", **total}, *others]
    return [
        f"| {score['skill']} | {share(*score['held_out'])} | {share(*score['trained'])} |" for score in scores
    ]


def share(right: int, asked: int) -> str:
    return f"{right / asked:.0%} ({right}/{asked})"


def model_card(record: list[dict[str, Any]], size: int) -> str:
    """The card for the scores and a model file of `size` bytes."""
    names = ("layers", "hidden", "heads", "kv_heads", "context", "vocab")
    return CARD.read_text(encoding="utf-8").format(
        **{name: getattr(SHAPE, name) for name in names},
        millions=sum(math.prod(size) for size in weight_shapes(SHAPE).values()) / 1e6,
        megabytes=size / 1e6,
        rows="\n".join(score_rows(record)),
        steps=sum(stage.steps for stage in STAGES),
        tokens=max(stage.tokens for stage in STAGES),
        stages=len(STAGES),
        seed=SEED,
    )
