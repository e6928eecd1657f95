"""The public exporters, a row each: requirements, precisions and command line.

builder exports decoders, optimum other decoders, text encoders with and without heads, and image encoders,
torch encoders of texts and of images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.backends.model_files import SPLADE_POOLING, sentence_steps
from inference.cards.card import CardError
from inference.importer.export.supported import optimum_task
from inference.importer.findings import ImporterError
from inference.importer.model_folder import read_object

TORCH_EXPORT = Path(__file__).with_name("torch_export.py")

Command = Callable[[str, Path, Path, str], Sequence[str]]
"""Builds a command line from the environment's Python, checkpoint, target folder and precision."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """An exporter; `requirements` are pip's, and the first of the `precisions` is the default."""

    name: str
    requirements: tuple[str, ...]
    precisions: tuple[str, ...]
    command: Command


def _builder(python: str, checkpoint: Path, target: Path, precision: str) -> Sequence[str]:
    module = "onnxruntime_genai.models.builder"
    cache = target.with_name("cache")
    paths = ["-i", str(checkpoint), "-o", str(target), "-c", str(cache)]
    options = ["--extra_options", "hf_token=false", "hf_remote=false"]
    return [python, "-m", module, *paths, "-p", precision, "-e", "cpu", *options]


def _optimum(python: str, checkpoint: Path, target: Path, _precision: str) -> Sequence[str]:
    module, names = "optimum.exporters.onnx", {path.name for path in checkpoint.iterdir()}
    # The logits of a SPLADE model are pooled into weights of tokens.
    splade = splade_pooling(checkpoint)
    task = "fill-mask" if splade else optimum_task(read_object(checkpoint / "config.json"), names)
    options = ["--model", str(checkpoint), "--task", task, "--library", "transformers"]
    return [python, "-m", module, *options, str(target)]


def _torch(python: str, checkpoint: Path, target: Path, _precision: str) -> Sequence[str]:
    return [python, str(TORCH_EXPORT), str(checkpoint), str(target)]


def splade_pooling(checkpoint: Path) -> bool:
    """Return True for a checkpoint whose modules.json pools logits into weights. Raises `ImporterError`."""
    try:
        return any(kind == SPLADE_POOLING for kind, _ in sentence_steps(checkpoint))
    except CardError as error:
        raise ImporterError(f"{error}.") from None


EXPORTERS: Mapping[str, Exporter] = {
    row.name: row
    for row in (
        Exporter(
            "builder",
            (
                "onnx==1.23.2",
                "onnx-ir==1.1.0",
                "onnxruntime==1.32.0",
                "onnxruntime-genai==0.18.0",
                "torch==2.13.0",
                "transformers==5.23.0",
            ),
            ("int4", "int8", "fp32"),
            _builder,
        ),
        Exporter(
            "optimum",
            (
                "onnx==1.23.2",
                "onnxruntime==1.32.0",
                "optimum-onnx==0.1.0",
                "torch==2.13.0",
                "transformers==4.57.6",
            ),
            ("fp32", "int8"),
            _optimum,
        ),
        Exporter(
            "torch",
            ("onnx==1.23.2", "onnxscript==0.7.2", "torch==2.13.0", "transformers==5.23.0"),
            ("fp32", "int8"),
            _torch,
        ),
    )
}
