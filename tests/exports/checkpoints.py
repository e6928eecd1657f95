"""Writes random checkpoints. Runs alone, in the builder's environment: `python checkpoints.py FOLDER`.

Every decoder has the byte tokenizer's 259 tokens. Weights are drawn wide, so that the most likely token is
clearly the most likely one and rounding does not decide.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SIZES: Mapping[str, Any] = {
    "vocab_size": 259,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "bos_token_id": None,
    "eos_token_id": 256,
    "pad_token_id": None,
    "initializer_range": 0.3,
}
GROUPED: Mapping[str, Any] = {**SIZES, "num_key_value_heads": 2}
LONG: Mapping[str, Any] = {
    "rope_type": "longrope",
    "type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0 + place / 16 for place in range(8)],
    "long_factor": [2.0 + place / 4 for place in range(8)],
    "original_max_position_embeddings": 256,
}
"""Rotary factors that change where a sequence outgrows 256 tokens; half a head's size of each."""

DECODERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "llama": ("Llama", GROUPED),
    "qwen2": ("Qwen2", GROUPED),
    "qwen3": ("Qwen3", {**GROUPED, "head_dim": 32}),
    "mistral": ("Mistral", {**GROUPED, "sliding_window": None}),
    "phi3": ("Phi3", {**GROUPED, "original_max_position_embeddings": 512}),
    "phi3-long": ("Phi3", {**GROUPED, "original_max_position_embeddings": 256, "rope_parameters": LONG}),
    "gemma": ("Gemma", {**GROUPED, "head_dim": 32}),
    "gemma2": ("Gemma2", {**GROUPED, "head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 512}),
    "phi": ("Phi", {**SIZES, "hidden_size": 128}),
    "smollm3": ("SmolLM3", GROUPED),
    "granite": ("Granite", {**GROUPED, "logits_scaling": 4.0, "attention_multiplier": 0.25}),
}
NEITHER: Mapping[str, Any] = {"vocab_size": 259, "eos_token_id": 256, "bos_token_id": None}
OTHER_DECODERS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "gpt2": ("GPT2", "LMHeadModel", {**NEITHER, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512}),
    "cohere": ("Cohere", "ForCausalLM", {**GROUPED, "pad_token_id": 0}),
    "gpt-neox": ("GPTNeoX", "ForCausalLM", SIZES),
    "stablelm": ("StableLm", "ForCausalLM", GROUPED),
}
"""Decoders of optimum, with the ends of their classes' names."""
ENCODER: Mapping[str, Any] = {
    **SIZES,
    "hidden_size": 32,
    "max_position_embeddings": 128,
    "eos_token_id": None,
}
ENCODERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "bert": ("Bert", {**ENCODER, "pad_token_id": 0}),
    "xlm-roberta": ("XLMRoberta", {**ENCODER, "max_position_embeddings": 130, "pad_token_id": 1}),
    "distilbert": (
        "DistilBert",
        {"vocab_size": 259, "dim": 32, "n_heads": 4, "n_layers": 2, "hidden_dim": 64},
    ),
    "modernbert": ("ModernBert", {**ENCODER, "pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2}),
}


def write(folder: Path) -> None:
    for name, (family, config) in DECODERS.items():
        _save(folder / name, family, "ForCausalLM", config)
    for name, (family, head, config) in OTHER_DECODERS.items():
        _save(folder / name, family, head, {**config, "initializer_range": 0.3})
    for name, (family, config) in ENCODERS.items():
        _save(folder / f"{name}-cross", family, "ForSequenceClassification", {**config, "num_labels": 1})
        _save(folder / name, family, "Model", config)
    text = {"vocab_size": 259, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
    text |= {"num_hidden_layers": 2, "max_position_embeddings": 32, "eos_token_id": 258, "pad_token_id": 256}
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}
    vision |= {"image_size": 32, "patch_size": 8}
    towers = {"text_config": text, "vision_config": vision, "projection_dim": 16}
    _save(folder / "clip", "CLIP", "Model", towers)


def _save(folder: Path, family: str, head: str, config: Mapping[str, Any]) -> None:
    import torch
    import transformers

    torch.manual_seed(7)
    made = getattr(transformers, f"{family}Config")(**config)
    getattr(transformers, f"{family}{head}")(made).save_pretrained(folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
