"""The checkpoint of a model: the files that an exporter takes, and the exporter that takes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from inference.importer.export.direct import DIRECT, writes
from inference.importer.findings import Finding, ImporterError
from inference.importer.kinds import architecture_of, kind_by_config
from inference.importer.plan import MODULE_FILE, SIDE_FILES
from inference.importer.sources import Listing

WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json")
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
TOKENIZERS = frozenset(
    {"tokenizer.model", "vocab.json", "merges.txt", "vocab.txt", "spiece.model", "added_tokens.json"}
)
DECODERS = ("ForCausalLM", "LMHeadModel")
ENCODERS = ("Model", "ForMaskedLM", "ForSequenceClassification")
HEADLESS = ("EncoderModel", "ForMaskedLM")
"""Suffixes of architectures; HEADLESS are exported as encoders, whatever else config.json says of them."""
DUAL_ENCODERS = ("clip", "siglip", "siglip2")
IMAGE_ENCODERS = ("vit", "deit", "beit", "dinov2", "dinov2_with_registers", "dinov3_vit", "swin", "convnext")
"""Values of `model_type`."""


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

    Raises `ImporterError` where none is known, or no backend would run what it exports.
    """
    kind, family = architecture_of(config, {}), str(config.get("model_type"))
    if family in DUAL_ENCODERS:
        return Finding("torch", f"{kind} has an image tower and a text tower: torch exports both.")
    if writes(config, listing):
        return Finding(DIRECT, f"{kind} generates text: its graph is written directly, without an exporter.")
    if kind.endswith(DECODERS):
        return Finding("builder", f"{kind} generates text: the builder of onnxruntime-genai exports it.")
    if family in IMAGE_ENCODERS and kind.endswith(ENCODERS):
        return Finding("optimum", f"{kind} encodes images: optimum exports it.")
    if not kind.endswith(HEADLESS) and (refused := kind_by_config(config, {})):
        raise ImporterError(refused)
    if "modules.json" in listing or kind.endswith(ENCODERS):
        return Finding("optimum", f"{kind or 'The model'} encodes text: optimum exports it.")
    raise ImporterError(
        f"No exporter is known for {kind or 'a model without architectures in config.json'}. "
        "Try one with --exporter builder, optimum or torch."
    )
