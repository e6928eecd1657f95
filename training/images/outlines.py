"""The outlines of shapes with corners, as points around the origin within about one unit."""

from collections.abc import Callable, Sequence
from math import cos, pi, sin

Point = tuple[float, float]


def turned(points: Sequence[Point], angle: float) -> list[Point]:
    """Points rotated about the origin by `angle` radians."""
    return [(x * cos(angle) - y * sin(angle), x * sin(angle) + y * cos(angle)) for x, y in points]


def regular(corners: int, start: float, radii: Sequence[float] = (1.0,)) -> list[Point]:
    """Corners at equal angles from `start` (radians, clockwise from the right), with radii taken in turn."""
    angles = [start + 2 * pi * index / corners for index in range(corners)]
    reach = [radii[index % len(radii)] for index in range(corners)]
    return [(r * cos(angle), r * sin(angle)) for r, angle in zip(reach, angles, strict=True)]


def square() -> list[Point]:
    return [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)]


def triangle() -> list[Point]:
    return [(0.0, -1.0), (0.95, 0.8), (-0.95, 0.8)]


def star() -> list[Point]:
    return regular(10, -pi / 2, (1.1, 0.45))


def diamond() -> list[Point]:
    return [(0.0, -1.1), (0.75, 0.0), (0.0, 1.1), (-0.75, 0.0)]


def cross() -> list[Point]:
    arm, end = 0.33, 1.0
    quarter = [(arm, -end), (arm, -arm), (end, -arm)]
    return [point for turn in range(4) for point in turned(quarter, turn * pi / 2)]


def heart() -> list[Point]:
    """The usual sine curve, scaled to the unit circle."""
    angles = [2 * pi * index / 40 for index in range(40)]
    return [(sin(t) ** 3, -(13 * cos(t) - 5 * cos(2 * t) - 2 * cos(3 * t) - cos(4 * t)) / 16) for t in angles]


OUTLINES: dict[str, Callable[[], list[Point]]] = {
    "square": square,
    "triangle": triangle,
    "star": star,
    "diamond": diamond,
    "cross": cross,
    "heart": heart,
}
