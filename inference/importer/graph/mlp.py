"""The gated MLP of a layer: down(activation(gate(x)) * up(x)), gate and up from one matrix."""

from __future__ import annotations

from inference.importer.graph.checked_weights import CheckedWeights
from inference.importer.graph.decoder_config import DecoderConfig
from inference.importer.graph.linear import write_linear
from inference.importer.graph.nodes import GraphNodes


def write_mlp(
    graph: GraphNodes, decoder: DecoderConfig, weights: CheckedWeights, layer: int, source: str
) -> str:
    """Write the MLP of a layer; return [batch, sequence, hidden]."""
    prefix, name = f"model.layers.{layer}.mlp", f"/model/layers.{layer}/mlp"
    halves = (decoder.intermediate, decoder.intermediate)
    parts = [f"{prefix}.{part}_proj" for part in ("gate", "up")]
    if decoder.architecture.stacked:
        matrix = weights.matrix(f"{prefix}.gate_up_proj.weight", sum(halves), decoder.hidden)
    else:
        matrix = weights.stacked([f"{part}.weight" for part in parts], halves, decoder.hidden)
    bias = weights.biases([f"{part}.bias" for part in parts], halves)
    both = write_linear(graph, f"{name}/gate_up_proj", source, matrix, bias)
    outputs = [f"{name}/Split/gate", f"{name}/Split/up"]
    gate, up = graph.outputs("Split", f"{name}/Split", [both], outputs, axis=-1, num_outputs=2)
    gated = graph.op("Mul", f"{name}/Mul", [_activated(graph, decoder, name, gate), up])
    down = weights.matrix(f"{prefix}.down_proj.weight", decoder.hidden, decoder.intermediate)
    bias = weights.biases([f"{prefix}.down_proj.bias"], [decoder.hidden])
    return write_linear(graph, f"{name}/down_proj", gated, down, bias, factor=decoder.residual_factor)


def _activated(graph: GraphNodes, decoder: DecoderConfig, name: str, gate: str) -> str:
    if decoder.activation == "silu":
        return graph.microsoft("QuickGelu", f"{name}/act_fn", [gate], alpha=1.0)
    return graph.op("Gelu", f"{name}/act_fn", [gate], approximate="tanh")
