"""GGUF files that are no model by themselves, named as what they are."""

from __future__ import annotations

from collections.abc import Mapping

from inference.importer.findings import ImporterError
from inference.importer.gguf.header import GgufHeader

KINDS: Mapping[str, str] = {
    "adapter": (
        "a LoRA adapter, which changes another model. Merge it into its base model (llama.cpp: "
        "llama-export-lora) and add the result"
    ),
    "mmproj": (
        "a projector of images or audio for a language model; of GGUF files only language models are served, "
        "with text alone. Add the file of the language model itself"
    ),
    "imatrix": (
        "an importance matrix, statistics with which a model is quantized. Add the file of the model itself"
    ),
    "vocab": "a vocabulary without weights. Add the file of the model itself",
}
"""What a file is by the name of its kind, and what to add instead."""
PROJECTOR = "clip"
"""The architecture of projectors, whose older files state no kind."""


def require_model(header: GgufHeader) -> None:
    """Raise `ImporterError` for a file that is no model by itself."""
    if kind := _kind(header):
        raise ImporterError(f"{header.path.name} is {KINDS[kind]}.")


def _kind(header: GgufHeader) -> str | None:
    """Return a key of `KINDS`, None for a model."""
    stated = header.text("general.type") or ""
    if stated in KINDS:
        return stated
    if header.architecture == PROJECTOR:
        return "mmproj"
    if any(name.endswith((".lora_a", ".lora_b")) for name in header.tensors):
        return "adapter"
    if any(name.endswith((".in_sum2", ".counts")) for name in header.tensors):
        return "imatrix"
    has_vocabulary = header.metadata.get("tokenizer.ggml.tokens") is not None
    return "vocab" if has_vocabulary and not header.tensors else None
