"""A decoder's checkpoint as an ONNX graph in the form that the engine is tuned for.

    input_ids            int64   [batch, sequence]
    attention_mask       int64   [batch, total]      row r: as many ones as row r has tokens, then zeros
    logits_indices       int64   [k]                 positions in the flattened [batch * sequence]
    past_key_values.N.*  float32 [batch, kv_heads, past, head_size]
    logits               float32 [1, k, vocabulary]
    present.N.*          float32 [batch, kv_heads, total, head_size]

The graph of an embedding model has the first two inputs, and the output

    last_hidden_state    float32 [batch, sequence, hidden]

Positions come from the mask inside GroupQueryAttention, so that rows of different lengths share a run. A
matrix with inputs in common with others is one with them, which is faster than several.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from inference.cards.json_files import Json
from inference.importer.findings import Report
from inference.importer.graph.attention import write_attention, write_attention_output
from inference.importer.graph.checked_weights import CheckedWeights
from inference.importer.graph.decoder_config import DecoderConfig, decoder_config
from inference.importer.graph.graph_files import GraphEnds, GraphReport, value, write_files
from inference.importer.graph.linear import EmbeddingTable, write_linear
from inference.importer.graph.mlp import write_mlp
from inference.importer.graph.nodes import GraphNodes
from inference.importer.graph.positions import Positions, write_positions
from inference.importer.graph.weights import Floats, WeightSource

INDICES, HIDDEN = "logits_indices", "last_hidden_state"
STEPS = 5
"""Reports of progress over all layers."""


def write_decoder(config: Json, weights: WeightSource, target: Path, *, progress: Report) -> GraphReport:
    """Write a decoder to `target`, and its tensors to a file beside it whose name has .data at the end.

    The weights have the names and values of transformers: the gains of Gemma's norms less one, the rows of
    queries and keys in halves. They are read one layer at a time. Both files appear when they are complete.
    Raises `ImporterError` for a config or tensors that do not fit.
    """
    decoder = decoder_config(config)
    checked = CheckedWeights(weights, decoder.architecture.name)

    def write(graph: GraphNodes) -> GraphEnds:
        _Writing(graph, decoder, checked).run(progress)
        checked.require_all_used()
        return _ends(decoder)

    return write_files(target, decoder.epsilon, write)


@dataclass(slots=True)
class _Writing:
    """One decoder while its nodes are written; `branch` is what the stream still lacks of the last layer."""

    graph: GraphNodes
    decoder: DecoderConfig
    weights: CheckedWeights
    stream: str = ""
    branch: str = ""

    def run(self, progress: Report) -> None:
        """Write all nodes from input_ids to logits."""
        decoder, count = self.decoder, len(self.decoder.layers)
        matrix = self.weights.matrix("model.embed_tokens.weight", decoder.vocabulary, decoder.hidden)
        table = EmbeddingTable(self.graph, matrix)
        self.stream = self._scaled("/model/embed_tokens", table.embed("input_ids"), decoder.embedding_factor)
        positions = write_positions(self.graph)
        for layer in range(count):
            if layer * STEPS // count != (layer - 1) * STEPS // count:
                progress(f"Layer {layer + 1} of {count} is written.")
            self._write_layer(layer, positions)
        if decoder.generates:
            self._write_head(table)
        else:
            gain = self.weights.vector("model.norm.weight", decoder.hidden)
            normed = self._norm("/model/norm", gain + np.float32(decoder.architecture.gain_offset))
            self.graph.op("Identity", "/model/norm/Identity", [normed])
            self.graph.nodes[-1].output[0] = HIDDEN

    def _write_layer(self, layer: int, positions: Positions) -> None:
        norms = self.decoder.architecture.norms
        normed = self._normed(layer, norms.attention_input)
        attended = write_attention(self.graph, self.decoder, self.weights, layer, normed, positions)
        if self.decoder.generates and layer == len(self.decoder.layers) - 1:
            attended = self._selected(attended)
        output = write_attention_output(self.graph, self.decoder, self.weights, layer, attended)
        self._join(layer, norms.attention_output, output)
        normed = self._normed(layer, norms.mlp_input)
        self._join(layer, norms.mlp_output, write_mlp(self.graph, self.decoder, self.weights, layer, normed))

    def _normed(self, layer: int, norm: str | None) -> str:
        """Add the branch to the stream and norm the sum, where there is a norm."""
        if norm is None:
            if self.branch:
                name = f"/model/layers.{layer}/stream/{len(self.graph.nodes)}"
                self.stream = self.graph.op("Add", name, [self.stream, self.branch])
            self.branch = ""
            return self.stream
        return self._norm(f"/model/layers.{layer}/{norm}", self._gain(layer, norm))

    def _norm(self, name: str, gain: Floats) -> str:
        if not self.branch:
            return self.graph.norm(name, self.stream, gain)
        normed, self.stream = self.graph.skip_norm(name, self.stream, self.branch, gain)
        self.branch = ""
        return normed

    def _join(self, layer: int, norm: str | None, output: str) -> None:
        """Make an output the branch, normed where there is a norm."""
        name = f"/model/layers.{layer}/{norm}"
        self.branch = output if norm is None else self.graph.norm(name, output, self._gain(layer, norm))

    def _gain(self, layer: int, norm: str) -> Floats:
        vector = self.weights.vector(f"model.layers.{layer}.{norm}.weight", self.decoder.hidden)
        return vector + np.float32(self.decoder.architecture.gain_offset)

    def _selected(self, attended: str) -> str:
        """Keep the positions of `logits_indices`: after the last attention nothing else needs the others."""
        self.stream = self._gathered("/model/selected/stream", self.stream, self.decoder.hidden)
        return self._gathered("/model/selected/attended", attended, self.decoder.query_width)

    def _gathered(self, name: str, source: str, size: int) -> str:
        shape = self.graph.integers(f"{name}/shape", 1, -1, size)
        flat = self.graph.op("Reshape", f"{name}/Reshape", [source, shape])
        return self.graph.op("Gather", f"{name}/Gather", [flat, INDICES], axis=1)

    def _write_head(self, table: EmbeddingTable) -> None:
        """Write the last norm and the lm_head; the divisors of the logits are in the gains of the norm."""
        decoder, graph = self.decoder, self.graph
        gain = self.weights.vector("model.norm.weight", decoder.hidden)
        gain = gain + np.float32(decoder.architecture.gain_offset)
        divisor = decoder.logits_divisor * (decoder.logits_cap or 1.0)
        normed = self._norm("/model/norm", gain / np.float32(divisor))
        if decoder.tied or not self.weights.has("lm_head.weight"):
            table.head(normed)
        else:
            head = self.weights.matrix("lm_head.weight", decoder.vocabulary, decoder.hidden)
            write_linear(graph, "/lm_head", normed, head)
        if decoder.logits_cap:
            squashed = graph.op("Tanh", "/lm_head/Tanh", [graph.nodes[-1].output[0]])
            self._scaled("/lm_head", squashed, decoder.logits_cap)
        graph.nodes[-1].output[0] = "logits"

    def _scaled(self, name: str, source: str, factor: float) -> str:
        if factor == 1:
            return source
        return self.graph.op("Mul", f"{name}/Mul", [source, self.graph.scalar(f"{name}/factor", factor)])


def _ends(decoder: DecoderConfig) -> GraphEnds:
    total = "total_length" if decoder.generates else "sequence_length"
    texts = [
        value("input_ids", TensorProto.INT64, "batch_size", "sequence_length"),
        value("attention_mask", TensorProto.INT64, "batch_size", total),
    ]
    if not decoder.generates:
        sizes = ("batch_size", "sequence_length", decoder.hidden)
        return GraphEnds("decoder", texts, [value(HIDDEN, TensorProto.FLOAT, *sizes)])
    inputs = [
        *texts,
        value(INDICES, TensorProto.INT64, "logits_count"),
        *_caches("past_key_values", "past_length", decoder),
    ]
    outputs = [
        value("logits", TensorProto.FLOAT, 1, "logits_count", decoder.vocabulary),
        *_caches("present", "total_length", decoder),
    ]
    return GraphEnds("decoder", inputs, outputs)


def _caches(prefix: str, length: str, decoder: DecoderConfig) -> Iterator[onnx.ValueInfoProto]:
    for layer in range(len(decoder.layers)):
        for part in ("key", "value"):
            sizes = ("batch_size", decoder.kv_heads, length, decoder.head_size)
            yield value(f"{prefix}.{layer}.{part}", TensorProto.FLOAT, *sizes)
