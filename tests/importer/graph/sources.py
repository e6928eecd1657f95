"""Sources of weights for tests: the random tensors of a golden case, and plain dictionaries."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from inference.importer.graph.quantize import quantized
from inference.importer.graph.weights import FloatMatrix, Floats, Matrix, unpacked
from tests.golden.random_tensors import random_tensors

GRAPHS = Path(__file__).parents[2] / "golden" / "graphs"
NAMES = sorted(path.stem for path in GRAPHS.glob("*.json"))


@dataclass(frozen=True)
class Tensors:
    """A source over arrays by name."""

    arrays: Mapping[str, Floats]

    @property
    def names(self) -> Collection[str]:
        return self.arrays.keys()

    def matrix(self, name: str) -> Matrix:
        return FloatMatrix(self.arrays[name])

    def vector(self, name: str) -> Floats:
        return self.arrays[name]


def golden(name: str) -> dict[str, Any]:
    """Return a case: config, shapes, gain, tokens, and logits by length and position."""
    case: dict[str, Any] = json.loads((GRAPHS / f"{name}.json").read_text())
    return case


def golden_weights(case: Mapping[str, Any]) -> Tensors:
    return Tensors(random_tensors(case["shapes"], gain=case["gain"]))


@dataclass(frozen=True)
class Blocks:
    """A source of the same weights in blocks, the embedding among them; offsets are a tenth of the scales."""

    source: Tensors
    bits: Literal[4, 8]
    offsets: bool = False

    @property
    def names(self) -> Collection[str]:
        return self.source.names

    def matrix(self, name: str) -> Matrix:
        rounded, _ = quantized(FloatMatrix(self.source.arrays[name]), self.bits)
        return replace(rounded, offsets=rounded.scales * np.float32(0.1)) if self.offsets else rounded

    def vector(self, name: str) -> Floats:
        return self.source.arrays[name]

    @property
    def unpacked(self) -> Tensors:
        """The same weights in float."""
        arrays = self.source.arrays
        return Tensors(
            {name: unpacked(self.matrix(name)) if arrays[name].ndim == 2 else arrays[name] for name in arrays}
        )
