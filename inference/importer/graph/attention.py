"""Attention of a layer: query, key and value from one matrix, over a cache that grows in place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inference.importer.graph.checked_weights import CheckedWeights
from inference.importer.graph.decoder_config import DecoderConfig, LayerConfig
from inference.importer.graph.linear import write_linear
from inference.importer.graph.nodes import MICROSOFT, GraphNodes
from inference.importer.graph.positions import Positions
from inference.importer.graph.weights import Matrix

PARTS = ("q", "k", "v")


def write_attention(
    graph: GraphNodes,
    decoder: DecoderConfig,
    weights: CheckedWeights,
    layer: int,
    source: str,
    positions: Positions,
) -> str:
    """Write a layer's attention without its output projection; return [batch, sequence, query width]."""
    prefix, name = f"model.layers.{layer}.self_attn", f"/model/layers.{layer}/attn"
    widths = (decoder.query_width, decoder.kv_width, decoder.kv_width)
    biases = [f"{prefix}.{part}_proj.bias" for part in PARTS]
    if decoder.architecture.qkv_bias:
        weights.require(biases)
    qkv = write_linear(
        graph,
        f"{name}/qkv_proj",
        source,
        _matrix(decoder, weights, prefix, widths),
        weights.biases(biases, widths),
    )
    parts = _normed(graph, decoder, weights, layer, qkv) if decoder.architecture.qk_norm else [qkv, "", ""]
    return _attend(graph, decoder, layer, parts, positions)


def write_attention_output(
    graph: GraphNodes, decoder: DecoderConfig, weights: CheckedWeights, layer: int, source: str
) -> str:
    """Write the output projection."""
    key, name = f"model.layers.{layer}.self_attn.o_proj", f"/model/layers.{layer}/attn/o_proj"
    matrix = weights.matrix(f"{key}.weight", decoder.hidden, decoder.query_width)
    bias = weights.biases([f"{key}.bias"], [decoder.hidden])
    return write_linear(graph, name, source, matrix, bias, factor=decoder.residual_factor)


def _matrix(decoder: DecoderConfig, weights: CheckedWeights, prefix: str, widths: tuple[int, ...]) -> Matrix:
    if decoder.architecture.stacked:
        return weights.matrix(f"{prefix}.qkv_proj.weight", sum(widths), decoder.hidden)
    return weights.stacked([f"{prefix}.{part}_proj.weight" for part in PARTS], widths, decoder.hidden)


def _normed(
    graph: GraphNodes, decoder: DecoderConfig, weights: CheckedWeights, layer: int, qkv: str
) -> list[str]:
    """Split query, key and value, and norm the first two.

    GroupQueryAttention has norms of its own, which onnxruntime 1.32 does not run on a CPU.
    """
    name, widths = f"/model/layers.{layer}/attn", (decoder.query_width, decoder.kv_width)
    sizes = graph.integers("qkv_sizes", *widths, decoder.kv_width)
    outputs = [f"{name}/Split/{part}" for part in PARTS]
    query, key, value = graph.outputs("Split", f"{name}/Split", [qkv, sizes], outputs, axis=-1)
    return [
        _norm(graph, decoder, weights, layer, part, source, width)
        for part, source, width in zip("qk", (query, key), widths, strict=True)
    ] + [value]


def _norm(
    graph: GraphNodes,
    decoder: DecoderConfig,
    weights: CheckedWeights,
    layer: int,
    part: str,
    source: str,
    width: int,
) -> str:
    """Norm queries or keys: each head by itself, or all as one vector."""
    row, name = decoder.architecture, f"/model/layers.{layer}/attn/{part}_norm"
    heads = row.qk_norm == "head"
    gain = weights.vector(
        f"model.layers.{layer}.self_attn.{part}_norm.weight", decoder.head_size if heads else width
    )
    gain = gain + np.float32(row.gain_offset)
    if not heads:
        return graph.norm(name, source, gain)
    apart = graph.integers("heads_apart", 0, 0, -1, decoder.head_size)
    normed = graph.norm(name, graph.op("Reshape", f"{name}/apart/Reshape", [source, apart]), gain)
    return graph.op("Reshape", f"{name}/Reshape", [normed, graph.integers("heads_joined", 0, 0, -1)])


def _attend(
    graph: GraphNodes,
    decoder: DecoderConfig,
    layer: int,
    query: Sequence[str],
    positions: Positions,
) -> str:
    name = f"/model/layers.{layer}/attn/GroupQueryAttention"
    settings = decoder.layers[layer]
    past, present = ["", ""], list[str]()
    if decoder.generates:
        past = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
        present = [f"present.{layer}.{part}" for part in ("key", "value")]
    tables = positions.table(graph, settings.rope) if settings.rope else ("", "")
    inputs = [*query, *past, positions.lengths, positions.total, *tables]
    attributes = _attributes(decoder, settings)
    outputs = [f"{name}/output_0", *present]
    return graph.outputs("GroupQueryAttention", name, inputs, outputs, domain=MICROSOFT, **attributes)[0]


def _attributes(decoder: DecoderConfig, layer: LayerConfig) -> dict[str, float | int]:
    attributes: dict[str, float | int] = {
        "num_heads": decoder.heads,
        "kv_num_heads": decoder.kv_heads,
        "scale": decoder.attention_scale,
        "do_rotary": int(layer.rope is not None),
        "rotary_interleaved": 0,
    }
    if layer.window is not None:
        attributes["local_window_size"] = layer.window
    if decoder.attention_cap:
        attributes["softcap"] = decoder.attention_cap
    return attributes
