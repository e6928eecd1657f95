"""Scenes as pictures: drawn with jitter in place, size, angle and tint, at sizes from 64 to 240 pixels."""

from random import Random

import numpy as np
from PIL import Image, ImageDraw

from training.images.outlines import OUTLINES, Point, turned
from training.images.scenes import Figure, Kind, Scene

Colour = tuple[int, int, int]

INKS: dict[str, Colour] = {
    "red": (220, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (245, 215, 45),
    "green": (45, 160, 65),
    "blue": (45, 85, 210),
    "purple": (130, 60, 175),
    "pink": (250, 150, 195),
    "brown": (125, 75, 40),
    "black": (20, 20, 20),
    "white": (245, 245, 245),
    "grey": (150, 150, 150),
    "cream": (245, 235, 210),
    "light blue": (180, 215, 240),
}
# Radii as fractions of the drawn square's edge.
SIZE_RADII = {"small": (0.08, 0.12), "large": (0.17, 0.24)}
KIND_RADII = {Kind.SEVERAL: (0.075, 0.11), Kind.PAIR: (0.1, 0.16)}
SPACING = 0.25
PLACE_OFFSETS = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}
RELATION_OFFSETS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}
EDGES = (64, 240)
TINT = 14
NOISE = 6.0


def draw(scene: Scene, random: Random) -> Image.Image:
    """The scene as an RGB picture; a third are longer than square, with the scene in the middle square."""
    edge = random.randint(*EDGES)
    width, height = stretched(edge, random)
    picture = Image.new("RGB", (width, height), tinted(scene.background, random))
    canvas = ImageDraw.Draw(picture)
    origin = ((width - edge) / 2, (height - edge) / 2)
    low, high = SIZE_RADII[scene.size] if scene.size else KIND_RADII[scene.kind]
    radius = edge * random.uniform(low, high)
    for figure, (x, y) in placed(scene, random):
        centre = (origin[0] + x * edge, origin[1] + y * edge)
        draw_figure(canvas, figure, centre, radius * random.uniform(0.9, 1.1), random)
    return with_noise(picture, random)


def stretched(edge: int, random: Random) -> tuple[int, int]:
    """Width and height whose shorter side is `edge`."""
    long = int(edge * random.uniform(1.0, 1.6))
    return random.choice([(edge, edge), (edge, edge), (edge, edge), (edge, edge), (long, edge), (edge, long)])


def tinted(colour: str, random: Random) -> Colour:
    red, green, blue = (min(255, max(0, part + random.randint(-TINT, TINT))) for part in INKS[colour])
    return red, green, blue


def with_noise(picture: Image.Image, random: Random) -> Image.Image:
    """Half of the pictures with mild Gaussian noise, standard deviation up to NOISE of 255."""
    if random.random() < 0.5:
        return picture
    generator = np.random.default_rng(random.getrandbits(32))
    pixels = np.asarray(picture, np.float32)
    noise = generator.standard_normal(pixels.shape, np.float32) * random.uniform(0.0, NOISE)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def placed(scene: Scene, random: Random) -> list[tuple[Figure, Point]]:
    """Every figure with its centre, in fractions of the square."""
    if scene.kind is Kind.ONE:
        return [(scene.figure, place_point(scene.place or "centre", random))]
    if scene.kind is Kind.SEVERAL:
        return [(scene.figure, point) for point in group_points(scene, random)]
    assert scene.other is not None
    first, second = pair_points(scene.relation or "left of", random)
    return [(scene.figure, first), (scene.other, second)]


def place_point(place: str, random: Random) -> Point:
    steps = [PLACE_OFFSETS[word] for word in place.split() if word in PLACE_OFFSETS]
    x, y = (0.5 + 0.24 * sum(step[axis] for step in steps) for axis in (0, 1))
    return jittered((x, y), 0.035, random)


def pair_points(relation: str, random: Random) -> tuple[Point, Point]:
    """Two centres on one axis, their middle near the picture's."""
    x, y = RELATION_OFFSETS[relation]
    reach = random.uniform(0.18, 0.26)
    middle = jittered((0.5, 0.5), 0.06, random)
    first = (middle[0] + x * reach, middle[1] + y * reach)
    second = (middle[0] - x * reach, middle[1] - y * reach)
    return jittered(first, 0.03, random), jittered(second, 0.03, random)


def group_points(scene: Scene, random: Random) -> list[Point]:
    """Centres of `count` figures: evenly in a row or column, or scattered without touching."""
    if scene.arrangement == "scattered":
        return scattered_points(scene.count, random)
    across = random.uniform(0.35, 0.65)
    line = [0.5 + (index - (scene.count - 1) / 2) * 0.235 for index in range(scene.count)]
    points = [(along, across) if scene.arrangement == "row" else (across, along) for along in line]
    return [jittered(point, 0.012, random) for point in points]


def scattered_points(count: int, random: Random) -> list[Point]:
    """Centres at least SPACING apart that do not all share a row or a column."""
    while True:
        points = [(random.uniform(0.16, 0.84), random.uniform(0.16, 0.84)) for _ in range(count)]
        spreads = [max(p[axis] for p in points) - min(p[axis] for p in points) for axis in (0, 1)]
        if min(spreads) > SPACING and all(apart(a, b) for i, a in enumerate(points) for b in points[:i]):
            return points


def apart(one: Point, other: Point) -> bool:
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2 > SPACING**2


def jittered(point: Point, reach: float, random: Random) -> Point:
    return point[0] + random.uniform(-reach, reach), point[1] + random.uniform(-reach, reach)


def draw_figure(
    canvas: ImageDraw.ImageDraw, figure: Figure, centre: Point, radius: float, random: Random
) -> None:
    ink = tinted(figure.colour, random)
    box = [centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius]
    if figure.shape == "circle":
        canvas.ellipse(box, fill=ink)
    elif figure.shape == "ring":
        canvas.ellipse(box, outline=ink, width=max(2, round(radius * 0.35)))
    else:
        outline = turned(OUTLINES[figure.shape](), random.uniform(-0.2, 0.2))
        canvas.polygon([(centre[0] + x * radius, centre[1] + y * radius) for x, y in outline], fill=ink)
