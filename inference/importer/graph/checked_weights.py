"""The tensors of a checkpoint, each checked against the sizes that config.json states."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from inference.importer.findings import ImporterError
from inference.importer.graph.weights import Floats, Matrix, WeightSource, stacked

PREFIXES = ("", "language_model.", "model.language_model.")
"""Before the names of a text tower among several towers."""
DECODER = "model.embed_tokens.weight"
COMPUTED = re.compile(r".*rotary_emb\..*|.*\.masked_bias|.*\.attn\.bias")
"""Tensors that old checkpoints carry although config.json states them."""


@dataclass(slots=True)
class CheckedWeights:
    """The tensors of a decoder under the names of a model without other towers."""

    source: WeightSource
    architecture: str
    anchor: str = DECODER
    """A tensor that shows which prefix the names have."""
    prefixes: tuple[str, ...] = PREFIXES
    used: set[str] = field(default_factory=set)
    _prefix: str = field(init=False)

    def __post_init__(self) -> None:
        names = set(self.source.names)
        found = [prefix for prefix in self.prefixes if self._stored(self.anchor, prefix) in names]
        self._prefix = found[0] if found else ""

    def has(self, name: str) -> bool:
        return self._stored(name, self._prefix) in self.source.names

    def matrix(self, name: str, rows: int, columns: int) -> Matrix:
        """Return a matrix. Raises `ImporterError` where it is missing or of another shape."""
        matrix = self.source.matrix(self._take(name))
        self._require_shape(name, matrix.shape, (rows, columns))
        return matrix

    def stacked(self, names: Iterable[str], rows: Iterable[int], columns: int) -> Matrix:
        """Return matrices with inputs in common as one."""
        parts = [self.matrix(name, count, columns) for name, count in zip(names, rows, strict=True)]
        return stacked(parts)

    def vector(self, name: str, size: int) -> Floats:
        """Return a vector. Raises `ImporterError` where it is missing or of another size."""
        vector = self.source.vector(self._take(name))
        self._require_shape(name, vector.shape, (size,))
        return vector

    def biases(self, names: Iterable[str], sizes: Iterable[int]) -> Floats | None:
        """Return vectors as one, zeros for those that do not exist; None where none does."""
        pairs = list(zip(names, sizes, strict=True))
        if not any(self.has(name) for name, _ in pairs):
            return None
        parts = [
            self.vector(name, size) if self.has(name) else np.zeros(size, np.float32) for name, size in pairs
        ]
        return np.concatenate(parts)

    def require(self, names: Iterable[str]) -> None:
        """Raise `ImporterError` where one is missing."""
        for name in names:
            self._take(name)

    def require_all_used(self) -> None:
        """Raise `ImporterError` where the decoder has tensors that the graph does not."""
        within = self._stored("model.", self._prefix)
        unused = sorted(
            name
            for name in set(self.source.names) - self.used
            if name.startswith(within) and not COMPUTED.fullmatch(name)
        )
        if unused:
            raise ImporterError(
                f"The weights have {len(unused)} tensors that {self.architecture} does not know, such as "
                f"{unused[0]}: they are of another architecture than config.json names."
            )

    def _take(self, name: str) -> str:
        if not self.has(name):
            raise ImporterError(f"The weights have no tensor {name}, which {self.architecture} needs.")
        stored = self._stored(name, self._prefix)
        self.used.add(stored)
        return stored

    @staticmethod
    def _stored(name: str, prefix: str) -> str:
        # Towers in a model of transformers 5 have no `model.` of their own.
        return prefix + (name.removeprefix("model.") if prefix == PREFIXES[2] else name)

    def _require_shape(self, name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
        if found != expected:
            raise ImporterError(
                f"The tensor {name} has the shape {list(found)}, and config.json states {list(expected)}."
            )
