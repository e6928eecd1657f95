"""Writes a Llama or Qwen2 decoder as an ONNX graph, from numpy weights, in float32 or blockwise 8 bit.

The graph keeps the conventions of onnxruntime-genai's model builder (0.18):

    input_ids            int64   [batch, sequence]
    attention_mask       int64   [batch, total]        row r: as many ones as row r has tokens, then zeros
    past_key_values.N.*  float32 [batch, kv_heads, past, head_dim]
    logits               float32 [batch, sequence, vocab]
    present.N.*          float32 [batch, kv_heads, total, head_dim]

Rotary positions come from the mask inside GroupQueryAttention, so rows of different lengths may share a run
and no position_ids input exists. Needs numpy and onnx only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tools.graphs.decoder_weights import (
    BLOCK,
    DecoderShape,
    Weights,
    quantize_blocks,
    random_weights,
    rotary_tables,
)

__all__ = ["DecoderShape", "Weights", "decoder_graph", "quantize_blocks", "random_weights"]

OPSET = 21
IR_VERSION = 10
PRODUCER = "starters"
"""As models/starter-chat names it: another name would change its bytes and nothing else."""


@dataclass(slots=True)
class DecoderWriter:
    """Collects nodes and initialisers; each method adds one operation and returns its output's name."""

    bits: Literal[8, 32]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, array: NDArray[Any]) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def op(self, kind: str, name: str, inputs: list[str], *, domain: str = "", **attributes: Any) -> str:
        output = f"{name}/output_0"
        self.emit(kind, name, inputs, [output], domain=domain, **attributes)
        return output

    def emit(
        self,
        kind: str,
        name: str,
        inputs: list[str],
        outputs: list[str],
        *,
        domain: str = "",
        **attributes: Any,
    ) -> None:
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=name, domain=domain, **attributes))

    def linear(self, name: str, source: str, weight: NDArray[np.float32]) -> str:
        """Multiply source [..., in] by weight [out, in] transposed."""
        if self.bits == 32:
            return self.op("MatMul", f"{name}/MatMul", [source, self.constant(f"{name}.weight", weight.T)])
        return self.quantized_linear(name, source, *self.quantized(name, weight), weight.shape)

    def quantized(self, name: str, weight: NDArray[np.float32]) -> tuple[str, str]:
        levels, scales = quantize_blocks(weight)
        return self.constant(f"{name}.weight_Q8", levels), self.constant(f"{name}.weight_scales", scales)

    def quantized_linear(
        self, name: str, source: str, levels: str, scales: str, size: tuple[int, ...]
    ) -> str:
        attributes = {"N": size[0], "K": size[1], "bits": 8, "block_size": BLOCK, "accuracy_level": 4}
        inputs = [source, levels, scales]
        return self.op("MatMulNBits", f"{name}/MatMulNBits", inputs, domain="com.microsoft", **attributes)

    def embedding_and_head(self, embedding: NDArray[np.float32], head: NDArray[np.float32] | None) -> Head:
        """Write the embedding of input_ids; return it and the very same bytes, which a tied lm_head reads."""
        if self.bits == 32:
            table = self.constant("model.embed_tokens.weight", embedding)
            embedded = self.op("Gather", "/model/embed_tokens/Gather", [table, "input_ids"])
            return Head(embedded, table if head is None else None, None)
        levels, scales = self.quantized("model.embed_tokens", embedding)
        rows = self.constant("model.embed_tokens.shape", np.array(embedding.shape, dtype=np.int64))
        flat = self.op("Reshape", "/model/embed_tokens/Reshape", [levels, rows])
        attributes = {"bits": 8, "block_size": BLOCK, "gather_axis": 0, "quantize_axis": 1}
        inputs = [flat, "input_ids", scales]
        name = "/model/embed_tokens/GatherBlockQuantized"
        embedded = self.op("GatherBlockQuantized", name, inputs, domain="com.microsoft", **attributes)
        return Head(embedded, levels if head is None else None, scales)


@dataclass(frozen=True, slots=True)
class Head:
    """Names: the embedded tokens, and for a tied lm_head its matrix (32 bit) or levels and scales (8 bit)."""

    embedded: str
    tied: str | None
    scales: str | None


def write_lengths(graph: DecoderWriter) -> tuple[str, str]:
    """Read the mask: return each row's last position, int32 [batch], and the total length, int32 scalar."""
    axis = graph.constant("/model/mask/axis", np.array([1], dtype=np.int64))
    one = graph.constant("/model/mask/one", np.array(1, dtype=np.int64))
    counted = graph.op("ReduceSum", "/model/mask/ReduceSum", ["attention_mask", axis], keepdims=0)
    last = graph.op("Sub", "/model/mask/Sub", [counted, one])
    extent = graph.op("Shape", "/model/mask/Shape", ["attention_mask"])
    total = graph.op("Gather", "/model/mask/Gather", [extent, one], axis=0)
    lengths = graph.op("Cast", "/model/mask/Cast", [last], to=TensorProto.INT32)
    return lengths, graph.op("Cast", "/model/mask/total/Cast", [total], to=TensorProto.INT32)


def write_attention(
    graph: DecoderWriter,
    shape: DecoderShape,
    weights: Weights,
    layer: int,
    source: str,
    shared: list[str],
) -> str:
    """Write packed query, key and value, GroupQueryAttention with rotary and cache, and the projection."""
    prefix, name = f"model.layers.{layer}.self_attn", f"/model/layers.{layer}/attn"
    packed = np.concatenate([weights[f"{prefix}.{part}_proj.weight"] for part in "qkv"])
    qkv = graph.linear(f"{name}/qkv_proj", source, packed)
    if shape.qkv_bias:
        bias = np.concatenate([weights[f"{prefix}.{part}_proj.bias"] for part in "qkv"])
        qkv = graph.op("Add", f"{name}/qkv_proj/Add", [qkv, graph.constant(f"{name}/qkv_proj.bias", bias)])
    past = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
    present = [f"present.{layer}.{part}" for part in ("key", "value")]
    attended = f"{name}/GroupQueryAttention/output_0"
    graph.emit(
        "GroupQueryAttention",
        f"{name}/GroupQueryAttention",
        [qkv, "", "", *past, *shared],
        [attended, *present],
        domain="com.microsoft",
        num_heads=shape.heads,
        kv_num_heads=shape.kv_heads,
        scale=float(shape.head_dim**-0.5),
        do_rotary=1,
        rotary_interleaved=0,
    )
    return graph.linear(f"{name}/o_proj", attended, weights[f"{prefix}.o_proj.weight"])


def write_mlp(graph: DecoderWriter, weights: Weights, layer: int, source: str) -> str:
    """Write down(silu(gate(x)) * up(x))."""
    prefix, name = f"model.layers.{layer}.mlp", f"/model/layers.{layer}/mlp"
    gate = graph.linear(f"{name}/gate_proj", source, weights[f"{prefix}.gate_proj.weight"])
    up = graph.linear(f"{name}/up_proj", source, weights[f"{prefix}.up_proj.weight"])
    squashed = graph.op("Sigmoid", f"{name}/act_fn/Sigmoid", [gate])
    silu = graph.op("Mul", f"{name}/act_fn/Mul", [gate, squashed])
    gated = graph.op("Mul", f"{name}/Mul", [silu, up])
    return graph.linear(f"{name}/down_proj", gated, weights[f"{prefix}.down_proj.weight"])


def write_skip_norm(
    graph: DecoderWriter, shape: DecoderShape, name: str, parts: list[str], gain: NDArray[np.float32]
) -> tuple[str, str]:
    """Write the RMS norm of the residual stream plus a branch; return the normed and the new stream."""
    inputs = [*parts, graph.constant(f"{name}.weight", gain)]
    normed, stream = f"{name}/output_0", f"{name}/output_3"
    kind, domain = "SkipSimplifiedLayerNormalization", "com.microsoft"
    graph.emit(kind, name, inputs, [normed, "", "", stream], domain=domain, epsilon=shape.norm_eps)
    return normed, stream


def write_decoder(graph: DecoderWriter, shape: DecoderShape, weights: Weights) -> None:
    """Write all nodes from input_ids to logits."""
    cos, sin = rotary_tables(shape)
    shared = [*write_lengths(graph), graph.constant("cos_cache", cos), graph.constant("sin_cache", sin)]
    head = graph.embedding_and_head(weights["model.embed_tokens.weight"], weights.get("lm_head.weight"))
    stream, branch = head.embedded, ""
    for layer in range(shape.layers):
        prefix, name = f"model.layers.{layer}", f"/model/layers.{layer}"
        gain = weights[f"{prefix}.input_layernorm.weight"]
        if branch:
            normed, stream = write_skip_norm(graph, shape, f"{name}/input_layernorm", [stream, branch], gain)
        else:
            inputs = [stream, graph.constant(f"{name}/input_layernorm.weight", gain)]
            attributes: dict[str, Any] = {"axis": -1, "epsilon": shape.norm_eps, "stash_type": 1}
            normed = graph.op("SimplifiedLayerNormalization", f"{name}/input_layernorm", inputs, **attributes)
        attended = write_attention(graph, shape, weights, layer, normed, shared)
        gain = weights[f"{prefix}.post_attention_layernorm.weight"]
        norm_name = f"{name}/post_attention_layernorm"
        normed, stream = write_skip_norm(graph, shape, norm_name, [stream, attended], gain)
        branch = write_mlp(graph, weights, layer, normed)
    normed, _ = write_skip_norm(graph, shape, "/model/norm", [stream, branch], weights["model.norm.weight"])
    write_head(graph, shape, weights, head, normed)


def write_head(graph: DecoderWriter, shape: DecoderShape, weights: Weights, head: Head, normed: str) -> None:
    """Write the lm_head, on the embedding's own bytes where tied; its output is renamed to logits."""
    size = (shape.vocab, shape.hidden)
    if head.tied is None:
        graph.linear("/lm_head", normed, weights["lm_head.weight"])
    elif head.scales is None:
        turned = graph.op("Transpose", "/lm_head/Transpose", [head.tied], perm=[1, 0])
        graph.op("MatMul", "/lm_head/MatMul", [normed, turned])
    else:
        graph.quantized_linear("/lm_head", normed, head.tied, head.scales, size)
    graph.nodes[-1].output[0] = "logits"


def decoder_graph(shape: DecoderShape, weights: Weights, *, bits: Literal[8, 32] = 32) -> onnx.ModelProto:
    """Return the whole model; `bits=8` is MatMulNBits and GatherBlockQuantized, in symmetric blocks."""
    graph = DecoderWriter(bits)
    write_decoder(graph, shape, weights)
    caches = [f"{layer}.{part}" for layer in range(shape.layers) for part in ("key", "value")]
    inputs = [
        tensor_info("input_ids", TensorProto.INT64, "batch_size", "sequence_length"),
        tensor_info("attention_mask", TensorProto.INT64, "batch_size", "total_length"),
        *(cache_info(shape, f"past_key_values.{name}", "past_length") for name in caches),
    ]
    outputs = [
        tensor_info("logits", TensorProto.FLOAT, "batch_size", "sequence_length", shape.vocab),
        *(cache_info(shape, f"present.{name}", "total_length") for name in caches),
    ]
    body = helper.make_graph(graph.nodes, "decoder", inputs, outputs, graph.initializers)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION, producer_name=PRODUCER)


def tensor_info(name: str, kind: int, *dims: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, dims)


def cache_info(shape: DecoderShape, name: str, length: str) -> onnx.ValueInfoProto:
    return tensor_info(name, TensorProto.FLOAT, "batch_size", shape.kv_heads, length, shape.head_dim)
