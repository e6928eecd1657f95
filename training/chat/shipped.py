"""The weights of the deployment folder, read back from its 8 bit graph, so that training can go on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from tools.graphs.decoder_weights import DecoderShape, Weights, weight_shapes

PARTS = ("q", "k", "v")


def dequantized(levels: NDArray[np.uint8], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32 [out, in] of uint8 [out, blocks, size] around 128 and scales [out, blocks]."""
    centred = levels.astype(np.float32) - np.float32(128)
    spread = centred * scales.reshape(levels.shape[0], -1)[:, :, None]
    return spread.reshape(levels.shape[0], -1)


class Graph:
    """The initializers of an exported graph, by name."""

    def __init__(self, path: Path) -> None:
        self.arrays = {t.name: numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer}

    def matrix(self, name: str) -> NDArray[np.float32]:
        return dequantized(self.arrays[f"{name}.weight_Q8"], self.arrays[f"{name}.weight_scales"])

    def gain(self, name: str) -> NDArray[np.float32]:
        return np.asarray(self.arrays[f"{name}.weight"], dtype=np.float32)


def shipped_weights(folder: Path, shape: DecoderShape) -> Weights:
    """Return every weight by its Hugging Face name, as near as 8 bits kept it."""
    graph = Graph(folder / "model.onnx")
    weights: Weights = {
        "model.embed_tokens.weight": graph.matrix("model.embed_tokens"),
        "model.norm.weight": graph.gain("/model/norm"),
    }
    for layer in range(shape.layers):
        weights |= layer_weights(graph, shape, layer)
    return {name: weights[name].reshape(size) for name, size in weight_shapes(shape).items()}


def layer_weights(graph: Graph, shape: DecoderShape, layer: int) -> Weights:
    """Return one layer's weights; query, key and value lie in one matrix of the graph."""
    here, there = f"model.layers.{layer}", f"/model/layers.{layer}"
    ends = np.cumsum([shape.query_width, shape.kv_width])
    packed = np.split(graph.matrix(f"{there}/attn/qkv_proj"), ends)
    weights = {f"{here}.self_attn.{p}_proj.weight": part for p, part in zip(PARTS, packed, strict=True)}
    weights[f"{here}.self_attn.o_proj.weight"] = graph.matrix(f"{there}/attn/o_proj")
    for part in ("gate", "up", "down"):
        weights[f"{here}.mlp.{part}_proj.weight"] = graph.matrix(f"{there}/mlp/{part}_proj")
    for part in ("input_layernorm", "post_attention_layernorm"):
        weights[f"{here}.{part}.weight"] = graph.gain(f"{there}/{part}")
    return weights
