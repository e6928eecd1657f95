"""The shape of a Llama or Qwen2 decoder, its weights by name, and their symmetric 8 bit form. Numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
"""Weights that share one scale. 32 keeps MatMulNBits' results independent of the batch a row is in."""

Weights = dict[str, NDArray[np.float32]]
"""Hugging Face weight names to arrays; a linear layer is [out, in]."""


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """The sizes of a Llama decoder, or of a Qwen2 decoder where `qkv_bias` is set."""

    vocab: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    context: int
    rope_theta: float = 10000.0
    norm_eps: float = 1e-6
    qkv_bias: bool = False
    tied: bool = True

    @property
    def query_width(self) -> int:
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        return self.kv_heads * self.head_dim


def weight_shapes(shape: DecoderShape) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight of a decoder, by its Hugging Face name."""
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (shape.vocab, shape.hidden)}
    for layer in range(shape.layers):
        prefix = f"model.layers.{layer}"
        shapes |= {f"{prefix}.{name}": size for name, size in layer_shapes(shape).items()}
    shapes["model.norm.weight"] = (shape.hidden,)
    if not shape.tied:
        shapes["lm_head.weight"] = (shape.vocab, shape.hidden)
    return shapes


def layer_shapes(shape: DecoderShape) -> dict[str, tuple[int, ...]]:
    """Return the shapes of one layer's weights, without the layer's prefix."""
    widths = {"q": shape.query_width, "k": shape.kv_width, "v": shape.kv_width}
    shapes: dict[str, tuple[int, ...]] = {"input_layernorm.weight": (shape.hidden,)}
    for name, width in widths.items():
        shapes[f"self_attn.{name}_proj.weight"] = (width, shape.hidden)
        if shape.qkv_bias:
            shapes[f"self_attn.{name}_proj.bias"] = (width,)
    return shapes | {
        "self_attn.o_proj.weight": (shape.hidden, shape.query_width),
        "post_attention_layernorm.weight": (shape.hidden,),
        "mlp.gate_proj.weight": (shape.ffn, shape.hidden),
        "mlp.up_proj.weight": (shape.ffn, shape.hidden),
        "mlp.down_proj.weight": (shape.hidden, shape.ffn),
    }


def random_weights(shape: DecoderShape, seed: int) -> Weights:
    """Draw weights with activations of unit scale: matrices N(0, 1/in), norms near one, biases near zero."""
    rng = np.random.default_rng(seed)
    weights: Weights = {}
    for name, size in weight_shapes(shape).items():
        noise = rng.standard_normal(size, dtype=np.float32)
        if len(size) == 2:
            weights[name] = noise / np.float32(np.sqrt(size[1]))
        else:
            weights[name] = noise * np.float32(0.1) + np.float32(name.endswith("norm.weight"))
    return weights


def rotary_tables(shape: DecoderShape) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return cos and sin of every position's angles, each float32 [context, head_dim / 2]."""
    powers = np.arange(0, shape.head_dim, 2, dtype=np.float64) / shape.head_dim
    angles = np.arange(shape.context, dtype=np.float64)[:, None] * shape.rope_theta**-powers
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def quantize_blocks(weight: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return float32 [out, in] as uint8 [out, in / 32, 32] around 128 and float32 scales [out, in / 32]."""
    rows, columns = weight.shape
    if columns % BLOCK:
        raise ValueError(f"8 bit needs rows of a multiple of {BLOCK} weights, not {columns}")
    blocks = weight.reshape(rows, columns // BLOCK, BLOCK)
    scales = np.maximum(np.abs(blocks).max(axis=2), np.float32(1e-12)) / np.float32(127)
    levels = np.rint(blocks / scales[:, :, None]) + 128
    return levels.astype(np.uint8), scales.astype(np.float32)
