"""The cases of `make_gguf`: kind in transformers, sizes, and the form of the file's matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

VOCABULARY, WINDOW, ORIGINAL = 96, 16, 32
"""Tokens, a sliding window, and the context of a pretraining that a rope extends."""
LENGTH = 48
"""Tokens of the prompt."""
TEXTS = ("hello world", "a tide", "the storm and the tide of a longer text", "x")

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 64,
    "bos_token_id": 92,
    "eos_token_id": 93,
    "pad_token_id": 95,
    "tie_word_embeddings": True,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
YARN = {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": ORIGINAL}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7],
    "long_factor": [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
    "original_max_position_embeddings": ORIGINAL,
}
NARROW = SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1}
PHI3 = {key: value for key, value in NARROW.items() if key != "head_dim"}
GRANITE = {
    "embedding_multiplier": 12.0,
    "logits_scaling": 8.0,
    "residual_multiplier": 0.25,
    "attention_multiplier": 0.125,
}
BERT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 64,
}
DECODERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "llama": ("llama", SMALL | {"tie_word_embeddings": False}, "f16"),
    "llama-q8": ("llama", SMALL, "q8_0"),
    "llama-3": ("llama", SMALL | {"rope_parameters": LLAMA3}, "bf16"),
    "llama-linear": ("llama", SMALL | {"rope_parameters": LINEAR, "attention_bias": True}, "f16"),
    "mistral": ("mistral", SMALL | {"sliding_window": None}, "f32"),
    "qwen2": ("qwen2", NARROW, "f16"),
    "qwen2-yarn": ("qwen2", NARROW | {"rope_parameters": YARN, "max_position_embeddings": 128}, "q8_0"),
    "qwen3": ("qwen3", SMALL, "f16"),
    "gemma2": (
        "gemma2",
        SMALL | {"num_hidden_layers": 2, "sliding_window": WINDOW, "query_pre_attn_scalar": 16},
        "f16",
    ),
    "gemma3": (
        "gemma3_text",
        NARROW
        | {"num_hidden_layers": 6, "sliding_window": WINDOW, "query_pre_attn_scalar": 16, "vocab_size": 96},
        "q8_0",
    ),
    "phi3": ("phi3", PHI3 | {"sliding_window": WINDOW, "tie_word_embeddings": False}, "f16"),
    "phi3-long": (
        "phi3",
        PHI3 | {"rope_parameters": LONG, "original_max_position_embeddings": ORIGINAL},
        "f16",
    ),
    "granite": ("granite", NARROW | GRANITE, "f16"),
    "olmo2": ("olmo2", SMALL | {"num_hidden_layers": 2, "tie_word_embeddings": False}, "f16"),
    "smollm3": ("smollm3", NARROW | {"num_hidden_layers": 4}, "f16"),
}
ENCODERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "bert-mean": ("bert", BERT, "f16"),
    "bert-cls": ("bert", BERT, "q8_0"),
    "nomic-bert": (
        "nomic_bert",
        BERT | {"rope_parameters": {"rope_type": "default", "rope_theta": 1000.0}},
        "f16",
    ),
    "qwen3-embedding": ("qwen3", SMALL, "f16"),
}
POOLINGS = {"bert-mean": "mean", "bert-cls": "cls", "nomic-bert": "mean", "qwen3-embedding": "lasttoken"}


def tokens() -> list[int]:
    """Return the prompt, of ordinary tokens."""
    return [int(token) for token in np.random.RandomState(0).randint(3, VOCABULARY - 6, LENGTH)]
