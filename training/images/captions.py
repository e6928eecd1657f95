"""Scenes in words: full captions that say everything, and brief ones that say only some of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from training.images.claims import UNSAID, Claim, full_claim
from training.images.scenes import COLOURS, SHAPES, Figure, Kind, Scene

SHAPE_WORDS = {"circle": ("circle", "disc"), "cross": ("cross", "plus"), "ring": ("ring", "hoop")}
COLOUR_WORDS = {"purple": ("purple", "violet")}
SIZE_WORDS = {"small": ("small", "little", "tiny"), "large": ("large", "big")}
COUNT_WORDS = {2: ("two", "2", "a pair of"), 3: ("three", "3"), 4: ("four", "4")}
BACKGROUND_WORDS = {"grey": ("grey", "gray")}
PLACE_WORDS = {
    "centre": ("in the centre", "in the center", "in the middle"),
    "left": ("on the left", "at the left", "on the left side"),
    "right": ("on the right", "at the right", "on the right side"),
    "top": ("at the top", "at the top edge"),
    "bottom": ("at the bottom", "at the bottom edge"),
}
CORNER_WORDS = ("in the {} corner", "at the {}", "in the {}")
ARRANGEMENT_WORDS = {
    "row": ("in a row", "side by side"),
    "column": ("in a column", "stacked"),
    "scattered": ("scattered around", "scattered", "here and there"),
}
RELATION_WORDS = {
    "left of": ("to the left of", "left of"),
    "right of": ("to the right of", "right of"),
    "above": ("above", "over", "on top of"),
    "below": ("below", "under", "beneath"),
}
OPENINGS = ("", "", "", "a picture of ", "a drawing of ", "an image of ", "a photo of ")
FULL_SHARE = 0.65
BACKGROUND_SHARE = 0.25


@dataclass(frozen=True)
class Caption:
    text: str
    claim: Claim


def random_caption(scene: Scene, random: Random) -> Caption:
    """A caption for training, full or brief."""
    if random.random() < FULL_SHARE:
        return full_caption(scene, random)
    return brief_caption(scene, random)


def full_caption(scene: Scene, random: Random) -> Caption:
    """Everything but the background, which a quarter of the captions add."""
    scene = random.choice((scene, scene.turned))
    with_background = random.random() < BACKGROUND_SHARE
    text = {Kind.ONE: one_text, Kind.SEVERAL: several_text, Kind.PAIR: pair_text}[scene.kind](scene, random)
    if with_background:
        text = f"{text} on a {said(BACKGROUND_WORDS, scene.background, random)} background"
    return Caption(random.choice(OPENINGS) + text, full_claim(scene, with_background))


def one_text(scene: Scene, random: Random) -> str:
    noun = f"{said(SIZE_WORDS, str(scene.size), random)} {noun_of(scene.figure, random)}"
    where = place_text(str(scene.place), random)
    return random.choice((f"a {noun} {where}", f"one {noun} {where}", f"a single {noun} {where}"))


def place_text(place: str, random: Random) -> str:
    if place in PLACE_WORDS:
        return random.choice(PLACE_WORDS[place])
    return random.choice(CORNER_WORDS).format(place)


def several_text(scene: Scene, random: Random) -> str:
    number = random.choice(COUNT_WORDS[scene.count])
    how = said(ARRANGEMENT_WORDS, str(scene.arrangement), random)
    return f"{number} {plural(noun_of(scene.figure, random))} {how}"


def pair_text(scene: Scene, random: Random) -> str:
    assert scene.other is not None
    relation = said(RELATION_WORDS, str(scene.relation), random)
    first, second = noun_of(scene.figure, random), noun_of(scene.other, random)
    return random.choice(
        (f"{article(first)} {relation} {article(second)}", f"{article(first)}, {relation} {article(second)}")
    )


def brief_caption(scene: Scene, random: Random) -> Caption:
    """One or two things about one figure, or both figures without their order."""
    scene = random.choice((scene, scene.turned))
    if scene.other is not None and random.random() < 0.4:
        return both_figures(scene, scene.other, random)
    say_shape, say_colour = random.choice(((True, True), (True, True), (True, False), (False, True)))
    several = scene.kind is Kind.SEVERAL
    say_count = several and random.random() < 0.5
    claim = Claim(
        several=int(several),
        count=scene.count if say_count else UNSAID,
        shape=SHAPES.index(scene.figure.shape) if say_shape else UNSAID,
        colour=COLOURS.index(scene.figure.colour) if say_colour else UNSAID,
    )
    noun = brief_noun(scene.figure, say_shape, say_colour, random)
    if not several:
        return Caption(random.choice((noun, article(noun), random.choice(OPENINGS) + article(noun))), claim)
    number = f"{random.choice(COUNT_WORDS[scene.count])} " if say_count else ""
    return Caption(number + plural(noun), claim)


def brief_noun(figure: Figure, say_shape: bool, say_colour: bool, random: Random) -> str:
    shape = said(SHAPE_WORDS, figure.shape, random) if say_shape else random.choice(("shape", "figure"))
    return f"{said(COLOUR_WORDS, figure.colour, random)} {shape}" if say_colour else shape


def both_figures(scene: Scene, other: Figure, random: Random) -> Caption:
    first, second = noun_of(scene.figure, random), noun_of(other, random)
    claim = Claim(
        several=0,
        shape=SHAPES.index(scene.figure.shape),
        colour=COLOURS.index(scene.figure.colour),
        other_shape=SHAPES.index(other.shape),
        other_colour=COLOURS.index(other.colour),
    )
    joint = random.choice(("and", "beside", "next to"))
    return Caption(f"{article(first)} {joint} {article(second)}", claim)


def noun_of(figure: Figure, random: Random) -> str:
    return f"{said(COLOUR_WORDS, figure.colour, random)} {said(SHAPE_WORDS, figure.shape, random)}"


def said(words: Mapping[str, tuple[str, ...]], value: str, random: Random) -> str:
    """The value, or one of its synonyms."""
    return random.choice(words.get(value, (value,)))


def article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def plural(noun: str) -> str:
    return f"{noun}es" if noun.endswith(("s", "x")) else f"{noun}s"
