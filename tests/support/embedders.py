"""Embedders that compute nothing: they note their inputs and return vectors that a test chose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from inference.contracts import TokenIds, TokenizedInput
from inference.errors import GenerationFailed

if TYPE_CHECKING:
    from inference.contracts import ImageArray, Vectors


class FixedTextEmbedder:
    """Returns the same vector for every text, and fails where it has none."""

    def __init__(self, vector: Sequence[float] = (), context: int = 16) -> None:
        self.vector, self.context = vector, context
        self.inputs: list[tuple[list[list[int]], int]] = []
        """The token ids of each call, and the number of its prompt's."""
        self.closed = 0

    @property
    def dimensions(self) -> int:
        return len(self.vector)

    async def embed(self, inputs: Sequence[TokenIds], *, prompt: int = 0, task: int = 0) -> Vectors:
        self.inputs.append(([list(ids) for ids in inputs], prompt))
        if not self.vector:
            raise GenerationFailed("NaN")
        return np.array([self.vector] * len(inputs), np.float32)

    def close(self) -> None:
        self.closed += 1


class FixedScorer:
    """Gives every input the same numbers."""

    def __init__(self, row: Sequence[float] = (0.5,), context: int = 16) -> None:
        self.row, self.context = row, context
        self.labels = [f"LABEL_{index}" for index in range(len(row))]
        self.closed = 0

    async def score(self, inputs: Sequence[TokenizedInput], *, raw: bool = False) -> Vectors:
        return np.array([self.row] * len(inputs), np.float32)

    def close(self) -> None:
        self.closed += 1


class FixedImageEmbedder:
    """Returns the same vector for every image, each of four patches."""

    patches = 4

    def __init__(self, vector: Sequence[float] = (3, 4)) -> None:
        self.vector = vector
        self.images: list[tuple[int, ...]] = []
        """The shape of each image."""
        self.closed = 0

    @property
    def dimensions(self) -> int:
        return len(self.vector)

    async def embed_images(self, images: Sequence[ImageArray]) -> Vectors:
        self.images += [image.shape for image in images]
        return np.array([self.vector] * len(images), np.float32)

    def close(self) -> None:
        self.closed += 1
