"""Captions: full ones are true of their own scene alone, brief ones at least of their own."""

from random import Random

import numpy as np
import pytest

from training.images.captions import brief_caption, full_caption, random_caption
from training.images.claims import matches
from training.images.scenes import Figure, Kind, Scene, distinct_scenes

RED_RING = Figure("ring", "red")
BLUE_STAR = Figure("star", "blue")
PAIR = Scene(Kind.PAIR, RED_RING, "white", relation="left of", other=BLUE_STAR)


def test_a_full_caption_is_true_of_its_own_scene_alone() -> None:
    random = Random(1)
    scenes = distinct_scenes(random, 150, held_out=False)
    truth = matches([full_caption(scene, random).claim for scene in scenes], scenes)
    assert np.array_equal(truth, np.eye(150, dtype=bool))


def test_every_caption_is_true_of_its_own_scene() -> None:
    random = Random(2)
    scenes = distinct_scenes(random, 400, held_out=False)
    truth = matches([random_caption(scene, random).claim for scene in scenes], scenes)
    assert np.diagonal(truth).all()
    assert truth.sum() > 400


def test_a_brief_caption_is_true_of_a_pair_that_holds_its_figure_on_either_side() -> None:
    alone = Scene(Kind.ONE, RED_RING, "white", place="left", size="small")
    other = Scene(Kind.ONE, BLUE_STAR, "white", place="left", size="small")
    several = Scene(Kind.SEVERAL, RED_RING, "white", count=2, arrangement="row")
    captions = [brief_caption(alone, Random(seed)) for seed in range(20)]
    claims = [each.claim for each in captions if "red ring" in each.text]
    assert claims
    truth = matches(claims, [PAIR, PAIR.turned, other, several])
    assert truth.tolist() == [[True, True, False, False]] * len(claims)


def test_a_pair_is_never_the_other_way_round() -> None:
    swapped = Scene(Kind.PAIR, BLUE_STAR, "white", relation="left of", other=RED_RING)
    claims = [full_caption(PAIR, Random(seed)).claim for seed in range(10)]
    assert matches(claims, [PAIR, swapped]).tolist() == [[True, False]] * 10


@pytest.mark.parametrize(
    ("scene", "words"),
    [
        (PAIR, ("red", "blue", "star")),
        (Scene(Kind.ONE, BLUE_STAR, "grey", place="top left", size="small"), ("blue star", "top left")),
        (Scene(Kind.SEVERAL, Figure("cross", "pink"), "grey", count=3, arrangement="row"), ("pink",)),
    ],
)
def test_a_full_caption_names_what_it_shows(scene: Scene, words: tuple[str, ...]) -> None:
    for seed in range(10):
        text = full_caption(scene, Random(seed)).text
        assert all(word in text for word in words), text


def test_plurals_are_spelled_as_in_english() -> None:
    scene = Scene(Kind.SEVERAL, Figure("cross", "pink"), "grey", count=2, arrangement="row")
    texts = {full_caption(scene, Random(seed)).text for seed in range(40)}
    assert any("pink crosses" in text for text in texts)
    assert any("pink pluses" in text for text in texts)
