"""Pictures: the same for the same seed, and with their ink where the scene says."""

from random import Random

import numpy as np
import pytest

from training.images.drawing import INKS, draw, group_points, placed
from training.images.outlines import OUTLINES
from training.images.preprocessing import cropped
from training.images.scenes import PLACES, SHAPES, Figure, Kind, Scene, random_scene

RED = Figure("circle", "red")
BLUE = Figure("square", "blue")


def centre_of(colour: str, scene: Scene, seed: int) -> tuple[float, float]:
    """The mean (x, y) of the pixels nearest to one colour, in fractions of the cropped picture."""
    pixels = cropped(draw(scene, Random(seed))).astype(np.float32)
    inks = np.array([INKS[colour], INKS[scene.background]], np.float32)
    nearest = np.argmin(np.linalg.norm(pixels[:, :, None] - inks, axis=-1), axis=-1)
    rows, columns = np.nonzero(nearest == 0)
    return float(columns.mean()) / 64, float(rows.mean()) / 64


@pytest.mark.parametrize("seed", range(5))
def test_the_same_seed_draws_the_same_picture(seed: int) -> None:
    scene = random_scene(Random(seed))
    assert draw(scene, Random(seed)).tobytes() == draw(scene, Random(seed)).tobytes()


@pytest.mark.parametrize("place", PLACES)
def test_a_shape_is_drawn_at_its_place(place: str) -> None:
    scene = Scene(Kind.ONE, RED, "white", place=place, size="large")
    expected_x = 0.5 + 0.24 * (("right" in place) - ("left" in place))
    expected_y = 0.5 + 0.24 * (("bottom" in place) - ("top" in place))
    for seed in range(5):
        x, y = centre_of("red", scene, seed)
        assert x == pytest.approx(expected_x, abs=0.06)
        assert y == pytest.approx(expected_y, abs=0.06)


@pytest.mark.parametrize(
    ("relation", "axis", "sign"), [("left of", 0, -1), ("right of", 0, 1), ("above", 1, -1), ("below", 1, 1)]
)
def test_a_pair_stands_as_its_relation_says(relation: str, axis: int, sign: int) -> None:
    scene = Scene(Kind.PAIR, RED, "white", relation=relation, other=BLUE)
    for seed in range(5):
        (_, first), (_, second) = placed(scene, Random(seed))
        assert (first[axis] - second[axis]) * sign > 0.25
        assert abs(first[1 - axis] - second[1 - axis]) < 0.1


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("arrangement", ["row", "column", "scattered"])
def test_several_shapes_do_not_touch(count: int, arrangement: str) -> None:
    scene = Scene(Kind.SEVERAL, BLUE, "white", count=count, arrangement=arrangement)
    for seed in range(5):
        points = group_points(scene, Random(seed))
        assert len(points) == count
        gaps = [np.hypot(a[0] - b[0], a[1] - b[1]) for i, a in enumerate(points) for b in points[:i]]
        assert min(gaps) > 0.2
        assert all(0.1 < part < 0.9 for point in points for part in point)


def test_every_shape_can_be_drawn() -> None:
    assert {*OUTLINES, "circle", "ring"} == set(SHAPES)
