"""The decoders whose graph this package writes, a row each: what differs between them.

A row has the traits that config.json does not state; `decoder_config` reads the rest. All have grouped-query
attention over rotated keys, RMS norms, and a gated MLP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from inference.importer.findings import ImporterError


@dataclass(frozen=True, slots=True)
class LayerNorms:
    """Names of a layer's norms: of the inputs of attention and MLP, and of their outputs; None for none."""

    attention_input: str | None = "input_layernorm"
    attention_output: str | None = None
    mlp_input: str | None = "post_attention_layernorm"
    mlp_output: str | None = None


SANDWICH = LayerNorms(
    "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"
)
AFTER = LayerNorms(None, "post_attention_layernorm", None, "post_feedforward_layernorm")


@dataclass(frozen=True, slots=True)
class Architecture:
    """A row: the name in config.json, and the traits of its graph."""

    name: str
    models: str
    """Models that people know of this architecture."""
    norms: LayerNorms = field(default_factory=LayerNorms)
    gain_offset: float = 0.0
    """Added to the gains of norms: Gemma's checkpoints state them less one."""
    qk_norm: Literal["head", "width"] | None = None
    """Norms of queries and keys: of each head by itself, or of all heads as one vector."""
    qkv_bias: bool = False
    """True where biases must exist; others have them where the checkpoint does."""
    stacked: bool = False
    """True where the checkpoint has query, key and value in one matrix, gate and up in another."""
    scales_embedding: bool = False
    """True where embedded tokens are multiplied by the square root of their size."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Values of keys that config.json may leave out; `COMMON_DEFAULTS` has those of all."""


COMMON_DEFAULTS: Mapping[str, Any] = {
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
}
GEMMA: Mapping[str, Any] = {
    "hidden_act": "gelu_pytorch_tanh",
    "tie_word_embeddings": True,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
}

ARCHITECTURES: Mapping[str, Architecture] = {
    row.name: row
    for row in (
        Architecture("LlamaForCausalLM", "Llama 2 to 3.2, SmolLM2"),
        Architecture("MistralForCausalLM", "Mistral", defaults={"sliding_window": 4096}),
        Architecture("Qwen2ForCausalLM", "Qwen2, Qwen2.5", qkv_bias=True),
        Architecture("Qwen3ForCausalLM", "Qwen3", qk_norm="head", defaults={"head_dim": 128}),
        Architecture(
            "Gemma2ForCausalLM",
            "Gemma 2",
            norms=SANDWICH,
            gain_offset=1.0,
            scales_embedding=True,
            defaults={
                **GEMMA,
                "max_position_embeddings": 8192,
                "attn_logit_softcapping": 50.0,
                "final_logit_softcapping": 30.0,
            },
        ),
        Architecture(
            "Gemma3ForCausalLM",
            "Gemma 3",
            norms=SANDWICH,
            gain_offset=1.0,
            qk_norm="head",
            scales_embedding=True,
            defaults={
                **GEMMA,
                "max_position_embeddings": 131_072,
                "vocab_size": 262_208,
                "rope_theta": 1_000_000.0,
                "rope_local_base_freq": 10_000.0,
            },
        ),
        Architecture("Phi3ForCausalLM", "Phi-3 to Phi-4-mini", stacked=True, defaults={"rms_norm_eps": 1e-5}),
        Architecture("GraniteForCausalLM", "Granite 3"),
        Architecture(
            "Olmo2ForCausalLM", "OLMo 2", norms=AFTER, qk_norm="width", defaults={"rms_norm_eps": 1e-5}
        ),
        Architecture(
            "SmolLM3ForCausalLM",
            "SmolLM3",
            defaults={"tie_word_embeddings": True, "num_key_value_heads": 4, "rope_theta": 2_000_000.0},
        ),
    )
}
NAMES = {"Gemma3ForConditionalGeneration": "Gemma3ForCausalLM"}
"""Other names of a row: Gemma 3 with an image tower, whose text tower is written."""

EMBEDDERS = {"Qwen3Model": "Qwen3ForCausalLM"}
"""Embedding models by the row of the decoder that they are without its lm_head and its cache."""


def architecture_named(config: Mapping[str, Any]) -> str:
    """Return the architecture that config.json names; empty where it names none."""
    named = config.get("architectures") or [""]
    name = str(named[0] if isinstance(named, list) else named)
    return NAMES.get(name, name)


def architecture_of(config: Mapping[str, Any]) -> Architecture:
    """Return the row of a config.json. Raises `ImporterError` for an architecture without one."""
    name = architecture_named(config)
    if (row := ARCHITECTURES.get(EMBEDDERS.get(name, name))) is not None:
        return row
    known = ", ".join(f"{row.name} ({row.models})" for row in ARCHITECTURES.values())
    subject = f"The architecture {name}" if name else "A model whose config.json names no architecture"
    raise ImporterError(f"{subject} is not among those whose graph can be written: {known}.")
