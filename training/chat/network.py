"""The chat model for training: a Llama decoder in torch, its weights in fp32.

Parameter names are Hugging Face's, so the trained weights go to `tools.graphs.decoder_graph` as they are.
A layer's arithmetic is one plain function, compiled once for each row length and shared by all layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from tools.graphs.decoder_weights import DecoderShape, rotary_tables, weight_shapes

COMPUTE = torch.bfloat16 if "512" in torch.backends.cpu.get_cpu_capability() else torch.float32
"""A processor without AVX-512 emulates bf16, which takes several times as long as fp32."""


def linear(x: Tensor, weight: Tensor) -> Tensor:
    return functional.linear(x, weight.to(COMPUTE))


def rms_norm(x: Tensor, gain: Tensor, eps: float) -> Tensor:
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + eps) * gain).to(COMPUTE)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    low, high = x.chunk(2, dim=-1)
    return torch.cat([low * cos - high * sin, high * cos + low * sin], dim=-1)


def attention(x: Tensor, qkv: tuple[Tensor, Tensor, Tensor], places: Places, head_dim: int) -> Tensor:
    """Causal grouped-query attention; rows are padded on the right, so causality alone hides the padding."""
    batch, tokens, _ = x.shape
    kv_heads = qkv[1].shape[0] // head_dim
    heads = linear(x, torch.cat(qkv)).view(batch, tokens, -1, head_dim)
    turned, value = heads[:, :, :-kv_heads], heads[:, :, -kv_heads:]
    turned = rotate(turned, places.cos, places.sin)
    query, key = turned[:, :, :-kv_heads], turned[:, :, -kv_heads:]
    query = query.reshape(batch, tokens, kv_heads, -1, head_dim).permute(0, 2, 3, 1, 4).flatten(2, 3)
    scores = query @ key.permute(0, 2, 3, 1) * head_dim**-0.5
    scores = scores.view(batch, kv_heads, -1, tokens, tokens)
    scores = scores.masked_fill(places.later, float("-inf")).softmax(dim=-1).flatten(2, 3)
    mixed = (scores @ value.transpose(1, 2)).view(batch, kv_heads, -1, tokens, head_dim)
    return mixed.permute(0, 3, 1, 2, 4).reshape(batch, tokens, -1)


@dataclass(frozen=True, slots=True)
class Places:
    """Rotary tables [tokens, 1, head_dim / 2]; `later` bool [tokens, tokens]: column comes after row."""

    cos: Tensor
    sin: Tensor
    later: Tensor


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One layer's parameters; matrices are [out, in]."""

    input_norm: Tensor
    qkv: tuple[Tensor, Tensor, Tensor]
    output: Tensor
    mlp_norm: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor


def decode_layer(x: Tensor, weights: LayerWeights, places: Places, head_dim: int, eps: float) -> Tensor:
    """x bf16 [batch, tokens, hidden] through attention and the gated MLP."""
    mixed = attention(rms_norm(x, weights.input_norm, eps), weights.qkv, places, head_dim)
    x = x + linear(mixed, weights.output)
    normed = rms_norm(x, weights.mlp_norm, eps)
    return x + linear(
        functional.silu(linear(normed, weights.gate)) * linear(normed, weights.up), weights.down
    )


compiled_layer = torch.compile(decode_layer, dynamic=False)


Parameters = dict[str, Tensor]
"""Every weight by its Hugging Face name, fp32, wanting gradients."""


def fresh_parameters(shape: DecoderShape, seed: int) -> Parameters:
    """Matrices N(0, 1/in), those that end a branch scaled down by the depth; norms of one."""
    generator = torch.Generator().manual_seed(seed)
    parameters: Parameters = {}
    for name, size in weight_shapes(shape).items():
        weight = torch.ones(size)
        if len(size) == 2:
            ends_branch = name.endswith(("o_proj.weight", "down_proj.weight"))
            scale = (2 * shape.layers) ** -0.5 if ends_branch else 1.0
            weight.normal_(std=scale * size[1] ** -0.5, generator=generator)
        parameters[name] = weight.requires_grad_()
    return parameters


def layer_weights(parameters: Parameters, layer: int) -> LayerWeights:
    def weight(name: str) -> Tensor:
        return parameters[f"model.layers.{layer}.{name}.weight"]

    return LayerWeights(
        weight("input_layernorm"),
        (weight("self_attn.q_proj"), weight("self_attn.k_proj"), weight("self_attn.v_proj")),
        weight("self_attn.o_proj"),
        weight("post_attention_layernorm"),
        weight("mlp.gate_proj"),
        weight("mlp.up_proj"),
        weight("mlp.down_proj"),
    )


@cache
def places_for(shape: DecoderShape, tokens: int) -> Places:
    cos, sin = (torch.from_numpy(table)[:tokens, None].to(COMPUTE) for table in rotary_tables(shape))
    return Places(cos, sin, torch.ones(tokens, tokens, dtype=torch.bool).triu(1))


def hidden_states(shape: DecoderShape, parameters: Parameters, ids: Tensor) -> Tensor:
    """Token ids int64 [batch, tokens] to normed states bf16 [batch, tokens, hidden]."""
    places = places_for(shape, ids.shape[1])
    x = functional.embedding(ids, parameters["model.embed_tokens.weight"]).to(COMPUTE)
    for layer in range(shape.layers):
        x = compiled_layer(x, layer_weights(parameters, layer), places, shape.head_dim, shape.norm_eps)
    return rms_norm(x, parameters["model.norm.weight"], shape.norm_eps)


def mean_loss(shape: DecoderShape, parameters: Parameters, ids: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy over the positions whose target is not negative; both int64 [batch, tokens].

    Only those positions are scored against the vocabulary, by the tied embedding.
    """
    kept = (targets.flatten() >= 0).nonzero().flatten()
    states = hidden_states(shape, parameters, ids).flatten(0, 1).index_select(0, kept)
    logits = linear(states, parameters["model.embed_tokens.weight"])
    return functional.cross_entropy(logits.float(), targets.flatten()[kept])
