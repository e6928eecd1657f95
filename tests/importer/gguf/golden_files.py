"""Files that llama.cpp's converter wrote of tiny models, and what transformers says of them (`make_gguf`)."""

from __future__ import annotations

import json
import lzma
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.importer.gguf.weights import GgufWeights
from inference.importer.graph.weights import FloatMatrix, Floats, unpacked

GOLDEN = Path(__file__).parents[2] / "golden" / "gguf"
CASES: dict[str, Any] = json.loads((GOLDEN / "cases.json").read_text())
DECODERS = sorted(name for name, case in CASES.items() if "logits" in case)
ENCODERS = sorted(name for name, case in CASES.items() if "vectors" in case)


def unpack(name: str, folder: Path) -> Path:
    """Write the file of a case into a folder."""
    path = folder / f"{name}.gguf"
    path.write_bytes(lzma.decompress((GOLDEN / f"{name}.gguf.xz").read_bytes()))
    return path


@dataclass(frozen=True)
class FloatsOf:
    """The weights of a file in float32, whose graph does not round its inputs."""

    source: GgufWeights

    @property
    def names(self) -> Collection[str]:
        return self.source.names

    def matrix(self, name: str) -> FloatMatrix:
        return FloatMatrix(unpacked(self.source.matrix(name)))

    def vector(self, name: str) -> Floats:
        return self.source.vector(name)
