"""Names of a GGUF file's tensors, and what transformers calls them, for each architecture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

LAYER = re.compile(r"blk\.(0|[1-9]\d{0,4})\.(.+)")

EMBEDDING = "token_embd"
_DECODER = {EMBEDDING: "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_ATTENTION = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
}
_HEAD_NORMS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
_MLP = {"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
_NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
_POST_NORMS = {
    "post_attention_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_GEMMA = {
    **_ATTENTION,
    **_MLP,
    **_POST_NORMS,
    "attn_norm": "input_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
}
_LLAMA = {**_ATTENTION, **_MLP, **_NORMS}
_BERT_LAYER = {
    "attn_q": "attention.self.query",
    "attn_k": "attention.self.key",
    "attn_v": "attention.self.value",
    "attn_output": "attention.output.dense",
    "attn_output_norm": "attention.output.LayerNorm",
    "ffn_up": "intermediate.dense",
    "ffn_down": "output.dense",
    "layer_output_norm": "output.LayerNorm",
}
_NOMIC_LAYER = {
    **_ATTENTION,
    **_MLP,
    "attn_output_norm": "post_attention_layernorm",
    "layer_output_norm": "post_mlp_layernorm",
}
_BERT = {
    EMBEDDING: "embeddings.word_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "token_embd_norm": "embeddings.LayerNorm",
}


@dataclass(frozen=True, slots=True)
class Naming:
    """The names of an architecture: without `blk.N.` and its like, and without `.weight` or `.bias`."""

    globals: Mapping[str, str]
    layers: Mapping[str, str]
    prefix: str = "model.layers"
    interleaved: bool = False
    """True where the rows of queries and keys are in pairs, as llama.cpp rotates them."""
    gains_from_one: bool = False
    """True where transformers stores the gains of norms without the one that the file has added."""

    def of(self, name: str) -> str | None:
        """Return the name in transformers, None for a tensor that the architecture does not have."""
        stem, _, kind = name.rpartition(".")
        if kind not in ("weight", "bias"):
            return None
        if layer := LAYER.fullmatch(stem):
            inner = self.layers.get(layer[2])
            return f"{self.prefix}.{layer[1]}.{inner}.{kind}" if inner else None
        outer = self.globals.get(stem)
        return f"{outer}.{kind}" if outer else None


NAMINGS: Mapping[str, Naming] = {
    "llama": Naming(_DECODER, _LLAMA, interleaved=True),
    "qwen2": Naming(_DECODER, _LLAMA),
    "qwen3": Naming(_DECODER, _LLAMA | _HEAD_NORMS),
    "gemma2": Naming(_DECODER, _GEMMA, gains_from_one=True),
    "gemma3": Naming(_DECODER, _GEMMA | _HEAD_NORMS, gains_from_one=True),
    "phi3": Naming(
        _DECODER,
        {
            "attn_qkv": "self_attn.qkv_proj",
            "attn_output": "self_attn.o_proj",
            "ffn_up": "mlp.gate_up_proj",
            "ffn_down": "mlp.down_proj",
            **_NORMS,
        },
    ),
    "granite": Naming(_DECODER, _LLAMA, interleaved=True),
    "olmo2": Naming(_DECODER, {**_ATTENTION, **_MLP, **_POST_NORMS, **_HEAD_NORMS}),
    "smollm3": Naming(_DECODER, _LLAMA, interleaved=True),
    "bert": Naming(
        {**_BERT, "position_embd": "embeddings.position_embeddings"}, _BERT_LAYER, "encoder.layer"
    ),
    "nomic-bert": Naming(_BERT, _NOMIC_LAYER, "layers"),
}
"""Architectures that are read, by general.architecture."""

FACTORS = frozenset({"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"})
"""Factors of rotary embeddings, which keep their names."""
COMPUTED = "attn_rot_embd"
"""A tensor of each layer in files of 2023, which follows from the metadata and is left out."""
