"""What a picture shows: one shape somewhere, several alike, or one shape beside another.

Some pairs of shape and colour are held out: no training scene contains one, every held-out scene contains at
least one, so a held-out picture can only be found by combining attributes that were learned apart.
"""

from dataclasses import dataclass, replace
from enum import Enum
from random import Random

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "diamond", "heart")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
BACKGROUNDS = ("white", "black", "grey", "cream", "light blue")
PLACES = ("centre", "left", "right", "top", "bottom", "top left", "top right", "bottom left", "bottom right")
SIZES = ("small", "large")
ARRANGEMENTS = ("scattered", "row", "column")
RELATIONS = ("left of", "right of", "above", "below")
COUNTS = (2, 3, 4)

OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
KIND_WEIGHTS = (4, 3, 4)


class Kind(Enum):
    ONE = "one shape at a place"
    SEVERAL = "two to four alike"
    PAIR = "one shape beside another"


@dataclass(frozen=True)
class Figure:
    """One shape in one colour."""

    shape: str
    colour: str

    @property
    def held_out(self) -> bool:
        """Whether this pair is kept from training: 11 of the 80, one or two of every shape and colour."""
        return (3 * SHAPES.index(self.shape) + COLOURS.index(self.colour)) % 7 == 5


@dataclass(frozen=True)
class Scene:
    """A picture's content. Fields that its kind does not use are None."""

    kind: Kind
    figure: Figure
    background: str
    place: str | None = None
    size: str | None = None
    count: int = 1
    arrangement: str | None = None
    relation: str | None = None
    other: Figure | None = None

    @property
    def held_out(self) -> bool:
        return self.figure.held_out or (self.other is not None and self.other.held_out)

    @property
    def turned(self) -> "Scene":
        """The same picture told from the other figure's side; a scene with one figure is its own."""
        if self.other is None or self.relation is None:
            return self
        return replace(self, figure=self.other, other=self.figure, relation=OPPOSITE[self.relation])

    @property
    def content(self) -> frozenset["Scene"]:
        """Equal for scenes that show the same apart from the background."""
        return frozenset(replace(view, background="") for view in (self, self.turned))


def random_scene(random: Random, held_out: bool = False) -> Scene:
    """A scene with, or without, a held-out figure."""
    while True:
        scene = any_scene(random)
        if scene.held_out == held_out:
            return scene


def any_scene(random: Random) -> Scene:
    background = random.choice(BACKGROUNDS)
    figure = random_figure(random, background)
    kind = random.choices(list(Kind), KIND_WEIGHTS)[0]
    if kind is Kind.ONE:
        return Scene(kind, figure, background, place=random.choice(PLACES), size=random.choice(SIZES))
    if kind is Kind.SEVERAL:
        return Scene(
            kind, figure, background, count=random.choice(COUNTS), arrangement=random.choice(ARRANGEMENTS)
        )
    other = figure
    while other == figure:
        other = random_figure(random, background)
    return Scene(kind, figure, background, relation=random.choice(RELATIONS), other=other)


def random_figure(random: Random, background: str) -> Figure:
    """A figure that can be seen on the background."""
    colours = [colour for colour in COLOURS if colour != background]
    if background == "cream":
        colours.remove("white")
    return Figure(random.choice(SHAPES), random.choice(colours))


def distinct_scenes(random: Random, count: int, held_out: bool) -> list[Scene]:
    """`count` scenes of which no two show the same, backgrounds aside."""
    found: dict[frozenset[Scene], Scene] = {}
    while len(found) < count:
        scene = random_scene(random, held_out)
        found.setdefault(scene.content, scene)
    return list(found.values())
