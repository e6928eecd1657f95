"""Export without an exporter: the importer's own graph, from the checkpoint's safetensors.

It needs no environment and no PyTorch, and holds one tensor at a time.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inference.cards.json_files import inner_object
from inference.importer.findings import ImporterError, Report, format_size
from inference.importer.graph.architectures import ARCHITECTURES, architecture_named
from inference.importer.model_folder import read_object
from inference.importer.plan import SIDE_FILES

DIRECT = "direct"
"""Name of this way among those of the exporters."""
PRECISIONS = ("int4", "int8", "fp32")
TOKENIZER = "tokenizer.json"


def writes(config: Mapping[str, Any], names: Mapping[str, object]) -> bool:
    """Return True for a checkpoint whose graph the importer writes itself.

    Its tokenizer is ready, as exporters make it from older files; its weights are not quantized.
    """
    known = architecture_named(config) in ARCHITECTURES
    return known and TOKENIZER in names and not config.get("quantization_config")


def export_directly(checkpoint: Path, target: Path, precision: str, report: Report) -> None:
    """Write the graph of a checkpoint's folder and copy its side files into a new folder `target`.

    Raises `ImporterError` for an architecture or tensors that the graph cannot have.
    """
    from inference.importer.graph.decoder import write_decoder
    from inference.importer.graph.quantize import QuantizedWeights, loss_sentence
    from inference.importer.graph.safetensors import Checkpoint

    config = read_object(checkpoint / "config.json")
    if method := inner_object(config, "quantization_config").get("quant_method"):
        raise ImporterError(
            f"The weights are quantized already, by {method}. Convert the original checkpoint instead."
        )
    target.mkdir(parents=True)
    source = Checkpoint(checkpoint)
    quantized = None if precision == "fp32" else QuantizedWeights(source, 4 if precision == "int4" else 8)
    written = write_decoder(config, quantized or source, target / "model.onnx", progress=report)
    report(f"The graph is written in {precision}: {format_size(written.size)}.")
    if quantized is not None and quantized.losses:
        report(loss_sentence(quantized.losses, quantized.bits))
    if quantized is not None and quantized.kept:
        report(
            f"{len(quantized.kept)} matrices stay in float32: their rows are no multiple of 32 weights long."
        )
    for name in SIDE_FILES:
        if (checkpoint / name).is_file():
            shutil.copyfile(checkpoint / name, target / name)
