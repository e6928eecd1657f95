"""The forward pass of a Llama decoder in plain numpy, to compare the ONNX one with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.contracts import TokenIds
from tests.support.decoders import VOCABULARY
from tools.graphs.decoder_graph import DecoderShape, Weights

Array = NDArray[Any]


def reference_logits(shape: DecoderShape, weights: Weights, tokens: TokenIds) -> Array:
    """Return the last position's logits, one query head at a time, with nothing cached."""
    stream = weights["model.embed_tokens.weight"][list(tokens)]
    position = np.arange(len(tokens), dtype=np.float32)[:, None]
    half = shape.head_dim // 2
    angle = position / shape.rope_theta ** (np.arange(half, dtype=np.float32) / half)
    future = np.triu(np.full((len(tokens), len(tokens)), -np.inf, np.float32), 1)

    def norm(x: Array, name: str) -> Array:
        return np.asarray(x / np.sqrt(np.mean(x * x, -1, keepdims=True) + shape.norm_eps) * weights[name])

    def head(x: Array, name: str, index: int) -> Array:
        rows = slice(index * shape.head_dim, (index + 1) * shape.head_dim)
        return np.asarray(x @ weights[name][rows].T)

    def rotated(x: Array) -> Array:
        low, high = x[:, :half], x[:, half:]
        cos, sin = np.cos(angle), np.sin(angle)
        return np.concatenate([low * cos - high * sin, high * cos + low * sin], 1)

    for layer in range(shape.layers):
        prefix = f"model.layers.{layer}."
        x = norm(stream, prefix + "input_layernorm.weight")
        mixed = []
        for index in range(shape.heads):
            shared = index // (shape.heads // shape.kv_heads)
            query = rotated(head(x, prefix + "self_attn.q_proj.weight", index))
            key = rotated(head(x, prefix + "self_attn.k_proj.weight", shared))
            scores = np.exp(query @ key.T / np.sqrt(shape.head_dim) + future)
            value = head(x, prefix + "self_attn.v_proj.weight", shared)
            mixed.append(scores / scores.sum(1, keepdims=True) @ value)
        attended = np.concatenate(mixed, 1, dtype=np.float32)
        stream = stream + attended @ weights[prefix + "self_attn.o_proj.weight"].T
        x = norm(stream, prefix + "post_attention_layernorm.weight")
        gate = x @ weights[prefix + "mlp.gate_proj.weight"].T
        up = x @ weights[prefix + "mlp.up_proj.weight"].T
        stream = stream + (gate / (1 + np.exp(-gate)) * up) @ weights[prefix + "mlp.down_proj.weight"].T
    return np.asarray(norm(stream, "model.norm.weight")[-1] @ weights["lm_head.weight"].T)


def reference_answer(shape: DecoderShape, weights: Weights, prompt: TokenIds, count: int) -> list[int]:
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(reference_logits(shape, weights, tokens)[:VOCABULARY].argmax()))
    return tokens[len(prompt) :]
