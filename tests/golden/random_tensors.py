"""Random tensors that depend on their names alone: neither a test nor a script has to store them."""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray


def random_tensor(name: str, shape: Sequence[int], *, gain: float = 1.0) -> NDArray[np.float32]:
    """Return a matrix that keeps its inputs' scale, gains of a norm around `gain`, or small biases."""
    # The stream of RandomState never changes, in any version of numpy.
    noise: NDArray[np.float64] = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) == 2:
        noise = noise / np.sqrt(shape[1])
    else:
        noise = noise * 0.2 + (gain if name.endswith("norm.weight") else 0.0)
    return noise.astype(np.float32)


def random_tensors(
    shapes: Mapping[str, Sequence[int]], *, gain: float = 1.0
) -> dict[str, NDArray[np.float32]]:
    return {name: random_tensor(name, shape, gain=gain) for name, shape in shapes.items()}
