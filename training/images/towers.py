"""The two towers as plain functions over named tensors, in torch, for training only.

Weights are a dictionary by name; graph.py reads the same names when it writes the ONNX files.
"""

from math import log

import torch
from torch import Tensor
from torch.nn import functional

from training.images.shape import EPSILON, STEM_CHANNELS, TEXT, VISION, Shape, Transformer, weight_shapes

Weights = dict[str, Tensor]

INITIAL_TEMPERATURE = 0.07
STATISTICS = (".mean", ".variance")


def initial_weights(seed: int) -> Weights:
    """Fresh weights from the seed: scaled normal for matrices, ones and zeros for norms and biases."""
    generator = torch.Generator().manual_seed(seed)
    weights = {name: initial(name, shape, generator) for name, shape in weight_shapes()}
    weights["logit_scale"] = torch.tensor(log(1 / INITIAL_TEMPERATURE))
    for name, weight in weights.items():
        weight.requires_grad_(not name.endswith(STATISTICS))
    return weights


def initial(name: str, shape: Shape, generator: torch.Generator) -> Tensor:
    if name.endswith((".scale", ".variance")):
        return torch.ones(shape)
    if name.endswith((".bias", ".mean")):
        return torch.zeros(shape)
    fan_in = torch.Size(shape[1:]).numel()
    deviation = 0.02 if name.endswith(("positions", "tokens")) else fan_in**-0.5
    return torch.randn(shape, generator=generator) * deviation


def image_embeds(weights: Weights, pixels: Tensor, training: bool = False) -> Tensor:
    """float [batch, 3, 64, 64] -> unit vectors [batch, EMBEDDING]."""
    hidden = pixels
    for index in range(len(STEM_CHANNELS) - 1):
        hidden = stem_step(weights, f"stem.{index}", hidden, training)
    tokens = hidden.flatten(2).transpose(1, 2) + weights["vision.positions"]
    return projected(weights, VISION, transformer(weights, VISION, tokens, None).mean(1))


def stem_step(weights: Weights, name: str, hidden: Tensor, training: bool) -> Tensor:
    """Convolution with stride 2, batch norm, ReLU."""
    hidden = functional.conv2d(hidden, weights[f"{name}.weight"], stride=2, padding=1)
    mean, variance = weights[f"{name}.mean"], weights[f"{name}.variance"]
    scale, bias = weights[f"{name}.scale"], weights[f"{name}.bias"]
    hidden = functional.batch_norm(hidden, mean, variance, scale, bias, training=training, eps=EPSILON)
    return functional.relu(hidden)


def text_embeds(weights: Weights, ids: Tensor, mask: Tensor) -> Tensor:
    """int64 [batch, sequence] ids and 1/0 mask -> unit vectors [batch, EMBEDDING], from the first token."""
    tokens = functional.embedding(ids, weights["text.tokens"]) + weights["text.positions"][: ids.shape[1]]
    hidden = transformer(weights, TEXT, tokens, mask.bool()[:, None, None, :])
    return projected(weights, TEXT, hidden[:, 0])


def transformer(weights: Weights, tower: Transformer, hidden: Tensor, mask: Tensor | None) -> Tensor:
    for layer in range(tower.layers):
        name = f"{tower.name}.{layer}"
        hidden = hidden + attention(weights, tower, name, norm(weights, f"{name}.norm1", hidden), mask)
        hidden = hidden + feed_forward(weights, name, norm(weights, f"{name}.norm2", hidden))
    return norm(weights, f"{tower.name}.norm", hidden)


def attention(weights: Weights, tower: Transformer, name: str, hidden: Tensor, mask: Tensor | None) -> Tensor:
    batch, sequence, width = hidden.shape
    head = width // tower.heads
    packed = linear(weights, f"{name}.qkv", hidden).view(batch, sequence, 3, tower.heads, head)
    query, key, value = packed.permute(2, 0, 3, 1, 4)
    # Spelled out: on a processor the fused operator's backward pass takes several times as long.
    scores = query @ key.transpose(-1, -2) * head**-0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    heads = scores.softmax(-1) @ value
    return linear(weights, f"{name}.out", heads.transpose(1, 2).reshape(batch, sequence, width))


def feed_forward(weights: Weights, name: str, hidden: Tensor) -> Tensor:
    return linear(weights, f"{name}.down", functional.gelu(linear(weights, f"{name}.up", hidden)))


def norm(weights: Weights, name: str, hidden: Tensor) -> Tensor:
    width = hidden.shape[-1]
    return functional.layer_norm(hidden, (width,), weights[f"{name}.scale"], weights[f"{name}.bias"], EPSILON)


def linear(weights: Weights, name: str, hidden: Tensor) -> Tensor:
    return functional.linear(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"])


def projected(weights: Weights, tower: Transformer, pooled: Tensor) -> Tensor:
    embeds = functional.linear(pooled, weights[f"{tower.name}.projection.weight"])
    return functional.normalize(embeds.float(), dim=-1)
