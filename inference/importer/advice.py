"""Reasons and ways out for sources without a graph that a backend runs, by all the files that they have.

A way out is only named where it works for this very source: `models convert` where its config.json and its
weights are those that an exporter takes.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from inference.importer.export.checkpoint import (
    PICKLES,
    WEIGHTS,
    checkpoint_below,
    checkpoint_files,
    choose_exporter,
)
from inference.importer.findings import ImporterError
from inference.importer.kinds import DIFFUSION_INDEX, diffusion, kind_by_config
from inference.importer.model_folder import read_object
from inference.importer.sources import FolderFiles, SourceFiles, shown
from inference.importer.subfolder import Subfolder

ADAPTER = "adapter_config.json"
OTHER_WEIGHTS = (".safetensors", *PICKLES, ".gguf", ".h5", ".msgpack", ".tflite", ".mlmodel", ".xml")
KIND_FILES = ("config.json", "genai_config.json")
CONVERT = "python -m inference models convert"


def require_graph(files: SourceFiles) -> None:
    """Raise `ImporterError` with the reason and a way out where a source has no ONNX file."""
    if not any(path.endswith(".onnx") for path in files.listing):
        raise ImporterError(no_graph(files))


def refused_parts(files: SourceFiles, reason: str) -> str:
    """Return why a source's graphs are refused: the kind of the model where its files name it."""
    if DIFFUSION_INDEX in files.listing:
        return diffusion()
    return _kind(files) or reason


def no_graph(files: SourceFiles) -> str:
    """Return why a source has no graph to add, and what to do."""
    there = f"There is no ONNX graph in {shown(files.address)}"
    if not files.listing:
        return f"{there}: it has no files."
    if DIFFUSION_INDEX in files.listing:
        return diffusion()
    if ADAPTER in files.listing:
        return (
            f"{there}, but an adapter for another model ({ADAPTER}). Merge it into its base model (in peft: "
            f"merge_and_unload, then save_pretrained), and convert the result with {CONVERT}."
        )
    weights = sorted(path for path in files.listing if path.endswith(OTHER_WEIGHTS))
    if not weights:
        return f"{there}: none of its {len(files.listing)} files ends in .onnx."
    return _kind(files) or f"{there}, but {_other_weights(files, weights)}"


def _other_weights(files: SourceFiles, weights: Sequence[str]) -> str:
    """Return the rest of the sentence on weights of another framework, and the way to add them."""
    named = f"weights of another framework ({shown(weights[0])})"
    if isinstance(files, FolderFiles):
        files.fetch(weights)  # refuses pointers, which no exporter reads either
    if any(WEIGHTS.fullmatch(path) for path in weights):
        return f"{named}. {_conversion(files)}"
    if below := checkpoint_below(files.listing):
        return f"{named}. {_conversion(Subfolder(files, below))}"
    if safetensors := next((path for path in weights if path.endswith(".safetensors")), None):
        return (
            f"weights of another framework ({shown(safetensors)}) under a name that no exporter reads. "
            "transformers saves them as model.safetensors with config.json: save_pretrained(FOLDER); then "
            f"{CONVERT} FOLDER."
        )
    if weights[0].endswith(PICKLES):
        return (
            f"{named}, a pickle, which can run any code when it is opened. If you trust it, save it as "
            f"safetensors: save_pretrained(FOLDER) of transformers; then {CONVERT} FOLDER."
        )
    return f"{named}. Name a repository that has .onnx files, or model.safetensors for {CONVERT}."


def _conversion(files: SourceFiles) -> str:
    """Return the sentence on converting a checkpoint; where that would be refused, the reason and another."""
    command = f"{CONVERT} {shlex.quote(files.address)}"
    otherwise = "or name a repository that has .onnx files."
    try:
        checkpoint_files(files.listing)
    except ImporterError as error:
        return f"{error} Add it and run {command}, {otherwise}"
    try:
        fetched = files.fetch(["config.json"])
        choose_exporter(read_object(fetched["config.json"]), files.listing)
    except ImporterError as error:
        return str(error)
    return f"Export the graph with `{command}`, {otherwise}"


def _kind(files: SourceFiles) -> str | None:
    """Return the sentence on a kind of model that no backend runs, where the files name it."""
    names = [name for name in KIND_FILES if name in files.listing]
    try:
        fetched = files.fetch(names) if names else {}
        config, genai = (read_object(fetched[name]) if name in fetched else {} for name in KIND_FILES)
    except ImporterError:
        return None
    return kind_by_config(config, genai)
