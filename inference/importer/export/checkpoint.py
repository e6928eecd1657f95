"""What of a source is a checkpoint, and which exporter is for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from inference.importer.findings import Finding
from inference.importer.plan import MODULE_FILE, SIDE_FILES
from inference.importer.refusal import ImporterError
from inference.importer.stock import Listing

WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json")
TOKENIZERS = frozenset(
    {"tokenizer.model", "vocab.json", "merges.txt", "vocab.txt", "spiece.model", "added_tokens.json"}
)
GENERATING = ("ForCausalLM", "LMHeadModel")
TOWERS = ("clip", "siglip", "siglip2")


def files_of(listing: Listing) -> dict[str, str]:
    """The files that an exporter may see, by their paths; nothing that could be executed is among them.

    Raises `ImporterError` where there are no weights as safetensors.
    """
    chosen = {path: path for path in listing if _belongs(path)}
    if not any(WEIGHTS.fullmatch(path) for path in chosen):
        pickled = sorted(path for path in listing if path.endswith((".bin", ".pt", ".pth", ".ckpt")))
        more = (
            f" {pickled[0]} is a pickle, which could run any code when it is opened, and is left alone."
            if pickled
            else ""
        )
        raise ImporterError(f"There is no model.safetensors to convert.{more}")
    if "config.json" not in chosen:
        raise ImporterError("There is no config.json beside the weights, which says what model they are.")
    return chosen


def _belongs(path: str) -> bool:
    if "/" in path:
        return MODULE_FILE.fullmatch(path) is not None
    name = PurePosixPath(path).name
    return name in SIDE_FILES or name in TOKENIZERS or WEIGHTS.fullmatch(name) is not None


def exporter_of(config: Mapping[str, Any], listing: Listing) -> Finding[str]:
    """The name of the exporter for a checkpoint. Raises `ImporterError` where none is for it."""
    named = config.get("architectures") or [""]
    kind = str(named[0]) if isinstance(named, list) else str(named)
    if config.get("model_type") in TOWERS:
        return Finding("torch", f"{kind} has a tower for pictures and one for texts: torch exports both.")
    if kind.endswith(GENERATING):
        return Finding("builder", f"{kind} generates text: onnxruntime-genai's builder exports it.")
    if "modules.json" in listing or kind.endswith(("Model", "ForMaskedLM")):
        return Finding("optimum", f"{kind or 'It'} encodes text: optimum exports it.")
    raise ImporterError(
        f"No exporter is known for {kind or 'a model without architectures in config.json'}. "
        "Say --exporter builder, optimum or torch to try one."
    )
