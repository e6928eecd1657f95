"""Deployments of the recorded models that score texts: tests/golden/make_scorers.py."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.support.decoders import write_json

SCORERS = Path(__file__).parents[1] / "golden" / "scorers"
KINDS = {
    "classifier": ("text-classification", "onnx-text-classifier"),
    "splade": ("sparse-embeddings", "onnx-sparse-encoder"),
}
CONTEXT = 40


def write_scorer(folder: Path, source: str, *, name: str | None = None, **card: Any) -> Path:
    """Write the deployment of a recorded model, a cross-encoder where its name is of no other kind."""
    target = shutil.copytree(SCORERS / source, folder / (name or source))
    kind, backend = KINDS.get(source, ("rerank", "onnx-cross-encoder"))
    written = {"name": target.name, "provider": "tests", "type": kind, "backend": backend, "context": CONTEXT}
    write_json(target / "model.json", written | card)
    return target
