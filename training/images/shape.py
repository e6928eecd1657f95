"""The towers' sizes and the names of their weights, shared by training and by the ONNX graphs."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

Shape = tuple[int, ...]

EMBEDDING = 128
# Channels of the convolutional stem: 3 x 3 with stride 2 each, so that 64 pixels become an 8 x 8 grid.
STEM_CHANNELS = (3, 32, 64, 128)
GRID_TOKENS = 64
VOCABULARY = 512
MAX_TOKENS = 48
EPSILON = 1e-5


@dataclass(frozen=True)
class Transformer:
    """A pre-norm transformer; its tower's weights are named `<name>.<layer>...`."""

    name: str
    width: int
    layers: int
    heads: int
    mlp: int


VISION = Transformer("vision", width=128, layers=3, heads=4, mlp=512)
TEXT = Transformer("text", width=96, layers=2, heads=4, mlp=384)


def weight_shapes() -> Iterator[tuple[str, Shape]]:
    """Every weight's name and shape; linear weights are [out, in]."""
    for index, (before, after) in enumerate(pairwise(STEM_CHANNELS)):
        yield f"stem.{index}.weight", (after, before, 3, 3)
        for part in ("bias", "scale", "mean", "variance"):
            yield f"stem.{index}.{part}", (after,)
    yield "vision.positions", (GRID_TOKENS, VISION.width)
    yield "text.tokens", (VOCABULARY, TEXT.width)
    yield "text.positions", (MAX_TOKENS, TEXT.width)
    for tower in (VISION, TEXT):
        yield from transformer_shapes(tower)
        yield f"{tower.name}.projection.weight", (EMBEDDING, tower.width)


def transformer_shapes(tower: Transformer) -> Iterator[tuple[str, Shape]]:
    width = tower.width
    matrices = {"qkv": (3 * width, width), "out": (width, width)}
    matrices |= {"up": (tower.mlp, width), "down": (width, tower.mlp)}
    norms = [f"{tower.name}.norm"]
    for layer in range(tower.layers):
        norms += [f"{tower.name}.{layer}.norm1", f"{tower.name}.{layer}.norm2"]
        for matrix, shape in matrices.items():
            yield f"{tower.name}.{layer}.{matrix}.weight", shape
            yield f"{tower.name}.{layer}.{matrix}.bias", (shape[0],)
    for norm in norms:
        yield f"{norm}.scale", (width,)
        yield f"{norm}.bias", (width,)
