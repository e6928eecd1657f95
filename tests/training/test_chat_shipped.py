"""The weights read back from the shipped graph."""

from __future__ import annotations

import numpy as np

from inference.importer.lm_head import add_indices
from tools.graphs.decoder_graph import decoder_graph
from tools.graphs.decoder_weights import quantize_blocks, weight_shapes
from training.chat.recipe import DEPLOYMENT, SHAPE
from training.chat.shipped import dequantized, shipped_weights


def test_the_weights_of_the_deployment_make_the_same_graph_again() -> None:
    weights = shipped_weights(DEPLOYMENT, SHAPE)
    assert {name: weight.shape for name, weight in weights.items()} == weight_shapes(SHAPE)
    graph = decoder_graph(SHAPE, weights, bits=8)
    add_indices(graph)
    assert graph.SerializeToString() == (DEPLOYMENT / "model.onnx").read_bytes()


def test_what_is_dequantized_lies_within_half_a_level() -> None:
    weight = np.random.default_rng(0).standard_normal((3, 64), dtype=np.float32)
    levels, scales = quantize_blocks(weight)
    difference = np.abs(dequantized(levels, scales) - weight).reshape(3, 2, 32)
    assert (difference <= scales[:, :, None] * 0.5001).all()
