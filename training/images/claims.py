"""What captions claim, as rows of numbers, and which pictures of a batch they are true of.

A brief caption is right for many pictures; training has to know which, or it would push them apart.
"""

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from training.images.scenes import (
    ARRANGEMENTS,
    BACKGROUNDS,
    COLOURS,
    PLACES,
    RELATIONS,
    SHAPES,
    SIZES,
    Kind,
    Scene,
)

UNSAID = -1


@dataclass(frozen=True)
class Claim:
    """What a caption says, each field a number or an index into its list of values, or UNSAID."""

    several: int = UNSAID
    count: int = UNSAID
    place: int = UNSAID
    size: int = UNSAID
    arrangement: int = UNSAID
    relation: int = UNSAID
    shape: int = UNSAID
    colour: int = UNSAID
    other_shape: int = UNSAID
    other_colour: int = UNSAID
    background: int = UNSAID


def full_claim(scene: Scene, background: bool = True) -> Claim:
    """Everything there is to say about a scene, from its first figure's side."""
    return Claim(
        several=int(scene.kind is Kind.SEVERAL),
        count=scene.count if scene.kind is not Kind.PAIR else UNSAID,
        place=index(PLACES, scene.place),
        size=index(SIZES, scene.size),
        arrangement=index(ARRANGEMENTS, scene.arrangement),
        relation=index(RELATIONS, scene.relation),
        shape=SHAPES.index(scene.figure.shape),
        colour=COLOURS.index(scene.figure.colour),
        other_shape=SHAPES.index(scene.other.shape) if scene.other else UNSAID,
        other_colour=COLOURS.index(scene.other.colour) if scene.other else UNSAID,
        background=BACKGROUNDS.index(scene.background) if background else UNSAID,
    )


def index(values: tuple[str, ...], value: str | None) -> int:
    return UNSAID if value is None else values.index(value)


def matches(claims: list[Claim], scenes: list[Scene]) -> NDArray[np.bool_]:
    """Which claim is true of which scene, [claims, scenes]: true from either figure's side."""
    wanted = rows(claims)
    shown = rows([full_claim(scene) for scene in scenes])
    turned = rows([full_claim(scene.turned) for scene in scenes])
    return agreement(wanted, shown) | agreement(wanted, turned)


def rows(claims: list[Claim]) -> NDArray[np.int16]:
    return np.array([astuple(claim) for claim in claims], np.int16)


def agreement(wanted: NDArray[np.int16], shown: NDArray[np.int16]) -> NDArray[np.bool_]:
    """[claims, fields] and [scenes, fields] to [claims, scenes]: whatever is said is shown."""
    said = wanted[:, None] != UNSAID
    agreed: NDArray[np.bool_] = np.all(~said | (wanted[:, None] == shown[None]), axis=-1)
    return agreed
