"""The checkpoint of a model: the files that an exporter takes, and the exporter that takes them."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from pathlib import PurePosixPath
from typing import Any

from inference.cards.json_files import inner_object
from inference.importer.export.direct import DIRECT, writes
from inference.importer.export.supported import (
    BUILDER,
    BUILDER_QUANTIZED,
    CLASSIFIERS,
    MODULES,
    OPTIMUM_IMAGES,
    TORCH_DUAL,
    family_of,
    generates,
    optimum_takes,
)
from inference.importer.findings import Finding, ImporterError
from inference.importer.kinds import REMOTE, architecture_of, kind_by_config
from inference.importer.plan import MODULE_FILE, SIDE_FILES
from inference.importer.sources import Listing

WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json")
MODULE_FOLDER = re.compile(r"\d+_(?!Transformer)\w+")
"""Folders of sentence-transformers' modules, such as 2_Dense, which are no models by themselves."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
TOKENIZERS = frozenset(
    {"tokenizer.model", "vocab.json", "merges.txt", "vocab.txt", "spiece.model", "added_tokens.json"}
)
ENCODERS = ("Model", "ForMaskedLM", CLASSIFIERS)
HEADLESS = ("EncoderModel", "ForMaskedLM")
"""Suffixes of architectures; HEADLESS are exported as encoders, whatever else config.json says of them."""


def checkpoint_files(listing: Listing) -> dict[str, str]:
    """Return the files for an exporter, each by its own path; nothing executable is among them.

    Raises `ImporterError` where there are no safetensors or no config.json.
    """
    chosen = {path: path for path in listing if _is_checkpoint_file(path)}
    if not any(WEIGHTS.fullmatch(path) for path in chosen):
        raise ImporterError(f"There is no model.safetensors to convert.{_without_weights(listing)}")
    if "config.json" not in chosen:
        raise ImporterError("There is no config.json next to the weights, which names their architecture.")
    return chosen


def checkpoint_below(listing: Listing) -> str | None:
    """Return the first folder below the root that is a checkpoint by itself; None where there is none."""
    paths = (PurePosixPath(path) for path in sorted(listing))
    folders = (path.parent for path in paths if WEIGHTS.fullmatch(path.name) and len(path.parts) > 1)
    whole = (folder for folder in folders if not MODULE_FOLDER.fullmatch(folder.name))
    return next((str(folder) for folder in whole if f"{folder}/config.json" in listing), None)


def _without_weights(listing: Listing) -> str:
    """Return what the source has in place of safetensors, as a sentence with a space before it."""
    if graph := next((path for path in sorted(listing) if path.endswith(".onnx")), None):
        return f" The source has ONNX graphs ({graph}): `models add` takes them as they are."
    if gguf := next((path for path in sorted(listing) if path.endswith(".gguf")), None):
        return f" {gguf} needs no conversion before: `models add` takes GGUF files."
    if pickled := next((path for path in sorted(listing) if path.endswith(PICKLES)), None):
        return (
            f" {pickled} is a pickle, which can run any code when it is opened, and is not used: save the "
            "weights as safetensors."
        )
    return ""


def _is_checkpoint_file(path: str) -> bool:
    if "/" in path:
        return MODULE_FILE.fullmatch(path) is not None
    name = PurePosixPath(path).name
    return name in SIDE_FILES or name in TOKENIZERS or WEIGHTS.fullmatch(name) is not None


def choose_exporter(config: Mapping[str, Any], listing: Listing) -> Finding[str]:
    """Return the name of the exporter for a checkpoint.

    Raises `ImporterError` where none takes it, or no backend would run what it exports.
    """
    kind, embeds = architecture_of(config, {}), MODULES in listing
    if family_of(config) in TORCH_DUAL:
        return Finding("torch", f"{kind} has an image tower and a text tower: torch exports both.")
    if writes(config, listing) and not embeds:
        return Finding(DIRECT, f"{kind} generates text: its graph is written directly, without an exporter.")
    if not kind.endswith(HEADLESS) and not embeds and (refused := kind_by_config(config, {})):
        raise ImporterError(refused)
    if generates(config, listing):
        return _decoder_exporter(config, kind)
    if embeds or kind.endswith(ENCODERS):
        return _encoder_exporter(config, listing)
    raise ImporterError(
        f"No exporter is known for {kind or 'a model without architectures in config.json'}. "
        "Try one with --exporter builder, optimum or torch."
    )


def _decoder_exporter(config: Mapping[str, Any], kind: str) -> Finding[str]:
    """Return the exporter of a decoder. Raises `ImporterError`."""
    if kind in BUILDER:
        _require_float(config, BUILDER_QUANTIZED)
        return Finding("builder", f"{kind} generates text: the builder of onnxruntime-genai exports it.")
    _require_float(config)
    if optimum_takes(config, ()):
        return Finding("optimum", f"{kind} generates text: optimum exports it, in float32.")
    raise ImporterError(
        f"{kind} generates text, and no exporter makes a graph of it that a backend runs. {REMOTE}, or add a "
        "model of another architecture (docs/models.md lists them)."
    )


def _encoder_exporter(config: Mapping[str, Any], listing: Listing) -> Finding[str]:
    """Return the exporter of an encoder of texts or images. Raises `ImporterError`."""
    kind, family = architecture_of(config, {}) or "The model", family_of(config)
    _require_float(config)
    if optimum_takes(config, listing):
        what = "images" if family in OPTIMUM_IMAGES else "text"
        return Finding("optimum", f"{kind} encodes {what}: optimum exports it.")
    raise ImporterError(
        f"{kind} is an encoder of a family ({family or 'no model_type'}) that no exporter takes"
        + (" without running the code that comes with it, which never runs" if "auto_map" in config else "")
        + ". Many encoders are published as ONNX graphs too: name such a repository or folder."
    )


def _require_float(config: Mapping[str, Any], readable: Container[str] = ()) -> None:
    """Raise `ImporterError` for weights in a quantization that is not `readable`."""
    method = str(inner_object(config, "quantization_config").get("quant_method") or "quantization_config")
    if config.get("quantization_config") and method not in readable:
        raise ImporterError(
            f"The weights are quantized already ({method}), in a form "
            "that no exporter reads. Convert the original checkpoint instead, or add a GGUF file of it."
        )
