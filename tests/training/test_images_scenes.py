"""Scenes: what is held out stays out, and no two of a gallery show the same."""

from collections import Counter
from itertools import product
from random import Random

import pytest

from training.images.scenes import COLOURS, SHAPES, Figure, Kind, Scene, distinct_scenes, random_scene

FIGURES = [Figure(shape, colour) for shape, colour in product(SHAPES, COLOURS)]


def test_every_shape_and_colour_is_learned_and_held_out() -> None:
    held_out = [figure for figure in FIGURES if figure.held_out]
    assert len(held_out) == 11
    assert {figure.shape for figure in held_out} == set(SHAPES)
    assert max(Counter(figure.shape for figure in held_out).values()) <= 2
    assert max(Counter(figure.colour for figure in held_out).values()) <= 2


@pytest.mark.parametrize("held_out", [True, False])
def test_scenes_keep_to_their_side(held_out: bool) -> None:
    random = Random(1)
    for scene in (random_scene(random, held_out) for _ in range(300)):
        figures = [scene.figure] if scene.other is None else [scene.figure, scene.other]
        assert any(figure.held_out for figure in figures) == held_out


def test_the_same_seed_gives_the_same_scenes() -> None:
    assert distinct_scenes(Random(5), 40, held_out=False) == distinct_scenes(Random(5), 40, held_out=False)


def test_a_gallery_shows_nothing_twice() -> None:
    scenes = distinct_scenes(Random(2), 100, held_out=True)
    assert len({scene.content for scene in scenes}) == 100


def test_a_pair_told_from_the_other_side_shows_the_same() -> None:
    red, blue = Figure("ring", "red"), Figure("star", "blue")
    scene = Scene(Kind.PAIR, red, "white", relation="above", other=blue)
    assert scene.turned == Scene(Kind.PAIR, blue, "white", relation="below", other=red)
    assert scene.turned.content == scene.content


def test_no_figure_has_its_backgrounds_colour() -> None:
    random = Random(3)
    for scene in (random_scene(random) for _ in range(300)):
        assert scene.figure.colour != scene.background
