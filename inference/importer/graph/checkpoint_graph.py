"""The graph of a checkpoint, by the architecture that its config.json names."""

from __future__ import annotations

from pathlib import Path

from inference.cards.json_files import Json
from inference.importer.findings import Report
from inference.importer.graph.architectures import architecture_named
from inference.importer.graph.decoder import write_decoder
from inference.importer.graph.encoder import write_encoder
from inference.importer.graph.encoder_config import ENCODERS
from inference.importer.graph.graph_files import GraphReport
from inference.importer.graph.weights import WeightSource


def write_graph(config: Json, weights: WeightSource, target: Path, *, progress: Report) -> GraphReport:
    """Write a decoder or an encoder. Raises `ImporterError` for an architecture of neither."""
    write = write_encoder if architecture_named(config) in ENCODERS else write_decoder
    return write(config, weights, target, progress=progress)
