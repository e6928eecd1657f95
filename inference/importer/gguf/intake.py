"""Intake of GGUF files: the chosen model becomes a graph with its side files, in a folder to be added."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from inference.importer.deployment_folder import staging
from inference.importer.findings import Report, reported
from inference.importer.gguf.choice import choose, is_wanted, offered
from inference.importer.gguf.cost import cost_of
from inference.importer.gguf.kinds import require_model
from inference.importer.gguf.parts import read_parts
from inference.importer.gguf.weights import GgufWeights
from inference.importer.model_folder import read_object
from inference.importer.sources import FolderFiles, SourceFiles

if TYPE_CHECKING:
    from inference.importer.add import AddOptions

GRAPH = "model.onnx"


@contextmanager
def graphs_of(
    files: SourceFiles, options: AddOptions, report: Report
) -> Iterator[tuple[SourceFiles, AddOptions]]:
    """Yield the files of a source, and the options for them, with a graph in place of a GGUF file.

    Files and options stay as they are where the source has a graph. Raises `ImporterError` for a GGUF file
    that cannot be read or whose model is not supported.
    """
    if not is_wanted(files.listing, options.plan_options.variant):
        yield files, options
        return
    from inference.importer.gguf.side_files import provider

    variant = options.plan_options.variant
    chosen = reported(choose(offered(files.listing, variant), variant, options.plan_options.budget), report)
    fetched = files.fetch(chosen.paths)
    header = read_parts([fetched[path] for path in chosen.paths])
    require_model(header)
    with staging(options.into, f"{options.name}.graph") as folder:
        weights = GgufWeights(header, eight_bits=options.int8, in_float=options.in_float)
        write_model(weights, folder, report)
        written = FolderFiles.of(folder, f"{chosen.paths[0]} of {files.origin}")
        yield (
            replace(written, provider=provider(header) or files.provider, license=files.license),
            replace(options, int8=False, plan_options=replace(options.plan_options, variant=None)),
        )


def write_model(weights: GgufWeights, folder: Path, report: Report) -> None:
    """Write the graph and the side files of a model into a folder. Raises `ImporterError`."""
    # They need onnx and tokenizers, which a command without a GGUF file does not load.
    from inference.importer.gguf.side_files import sentences, side_files
    from inference.importer.graph.checkpoint_graph import write_graph

    began, header = time.monotonic(), weights.header
    for sentence in sentences(header):
        report(sentence)
    for name, content in side_files(header).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    write_graph(read_object(folder / "config.json"), weights, folder / GRAPH, progress=report)
    written = sum(path.stat().st_size for path in folder.glob(f"{GRAPH}*"))
    for sentence in cost_of(weights, written):
        report(sentence)
    report(f"The graph was written in {time.monotonic() - began:.1f} s.")
