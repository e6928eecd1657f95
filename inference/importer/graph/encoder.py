"""An encoder's checkpoint, of BERT or its like, as an ONNX graph.

    input_ids, attention_mask, token_type_ids   int64   [batch, sequence]; the mask is 1 on tokens, else 0
    last_hidden_state                           float32 [batch, sequence, hidden]

Pooling and normalising stay with the backend, which reads them from the model's descriptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onnx import TensorProto

from inference.cards.json_files import Json
from inference.importer.findings import Report
from inference.importer.graph.checked_weights import CheckedWeights
from inference.importer.graph.encoder_config import EncoderConfig, encoder_config
from inference.importer.graph.graph_files import GraphEnds, GraphReport, value, write_files
from inference.importer.graph.linear import EmbeddingTable, write_linear
from inference.importer.graph.nodes import GraphNodes
from inference.importer.graph.rope import rotary_table
from inference.importer.graph.weights import WeightSource, unpacked

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "last_hidden_state"
QKV = ("query", "key", "value")


def write_encoder(config: Json, weights: WeightSource, target: Path, *, progress: Report) -> GraphReport:
    """Write an encoder's two files. Raises `ImporterError` for a config or tensors that do not fit."""
    encoder = encoder_config(config)
    anchor = "embeddings.word_embeddings.weight"
    checked = CheckedWeights(weights, encoder.row.name, anchor, encoder.row.prefixes)

    def write(graph: GraphNodes) -> GraphEnds:
        _Encoding(graph, encoder, checked).run()
        progress(f"{encoder.layers} layers are written.")
        inputs = [value(name, TensorProto.INT64, "batch_size", "sequence_length") for name in INPUTS]
        sizes = ("batch_size", "sequence_length", encoder.hidden)
        return GraphEnds("encoder", inputs, [value(OUTPUT, TensorProto.FLOAT, *sizes)])

    return write_files(target, encoder.epsilon, write)


@dataclass(slots=True)
class _Encoding:
    """One encoder while its nodes are written; `mask` has int32 ones on tokens."""

    graph: GraphNodes
    encoder: EncoderConfig
    weights: CheckedWeights
    mask: str = ""
    angles: tuple[str, ...] = ()
    """The first position, and the cosines and sines of all, where queries and keys rotate."""

    def run(self) -> None:
        """Write all nodes from input_ids to last_hidden_state."""
        hidden = self._embedded()
        self.mask = self.graph.op("Cast", "/mask/Cast", ["attention_mask"], to=TensorProto.INT32)
        if self.encoder.rope is not None:
            table = rotary_table(self.encoder.rope)
            cosines, sines = (("cos_cache", table.cosines), ("sin_cache", table.sines))
            first = self.graph.integers("first_position", 0)
            self.angles = (first, self.graph.constant(*cosines), self.graph.constant(*sines))
        for layer in range(self.encoder.layers):
            hidden = self._layer(self.encoder.row.layer(layer), hidden)
        self.graph.nodes[-1].output[0] = OUTPUT

    def _embedded(self) -> str:
        """Add up the embeddings of tokens, types and, where there is a table, positions; norm the sum."""
        graph, encoder = self.graph, self.encoder
        name = "embeddings.word_embeddings.weight"
        words = EmbeddingTable(graph, self.weights.matrix(name, encoder.vocabulary, encoder.hidden))
        types = self._table("token_type_embeddings", encoder.types)
        kinds = graph.op("Gather", "/embeddings/types/Gather", [types, "token_type_ids"])
        both = graph.op("Add", "/embeddings/types/Add", [words.embed("input_ids"), kinds])
        return self._norm("embeddings.LayerNorm", both if encoder.row.rotary else self._placed(both))

    def _placed(self, embedded: str) -> str:
        """Add the embeddings of positions."""
        graph = self.graph
        positions = self._table("position_embeddings", self.encoder.positions)
        length = graph.op("Shape", "/embeddings/Shape", ["input_ids"], start=1)
        first = graph.integers("/embeddings/first", 0)
        used = graph.op("Slice", "/embeddings/positions/Slice", [positions, first, length])
        return graph.op("Add", "/embeddings/positions/Add", [embedded, used])

    def _table(self, name: str, rows: int) -> str:
        key = f"embeddings.{name}.weight"
        return self.graph.constant(key, unpacked(self.weights.matrix(key, rows, self.encoder.hidden)))

    def _layer(self, layer: str, hidden: str) -> str:
        encoder, graph, row = self.encoder, self.graph, self.encoder.row
        attended = self._attended(layer, hidden)
        output = self._linear(f"{layer}.{row.output}", attended, encoder.hidden, encoder.hidden)
        added = graph.op("Add", f"/{layer}/attention/Add", [output, hidden])
        hidden = self._norm(f"{layer}.{row.attention_norm}", added)
        active = self._active(layer, hidden)
        output = self._linear(f"{layer}.{row.down}", active, encoder.hidden, encoder.intermediate)
        return self._norm(
            f"{layer}.{row.mlp_norm}", graph.op("Add", f"/{layer}/output/Add", [output, hidden])
        )

    def _active(self, layer: str, hidden: str) -> str:
        """Widen states and activate them; a gate is activated in their place and multiplies them."""
        encoder, graph, row = self.encoder, self.graph, self.encoder.row
        if row.gate is None:
            wide = self._linear(f"{layer}.{row.up}", hidden, encoder.intermediate, encoder.hidden)
            return graph.op("Gelu", f"/{layer}/mlp/Gelu", [wide])
        parts = [f"{layer}.{part}" for part in (row.gate, row.up)]
        both = self._stacked(f"/{layer}/mlp/gate_up", parts, hidden, encoder.intermediate)
        outputs = [f"/{layer}/mlp/Split/{part}" for part in ("gate", "up")]
        gate, up = graph.outputs("Split", f"/{layer}/mlp/Split", [both], outputs, axis=-1, num_outputs=2)
        gate = graph.microsoft("QuickGelu", f"/{layer}/mlp/Silu", [gate], alpha=1.0)
        return graph.op("Mul", f"/{layer}/mlp/Mul", [gate, up])

    def _attended(self, layer: str, hidden: str) -> str:
        graph, row = self.graph, self.encoder.row
        parts = [f"{layer}.{part}" for part in (row.query, row.key, row.value)]
        packed = self._stacked(f"/{layer}/attention/qkv", parts, hidden, self.encoder.hidden)
        name = f"/{layer}/attention"
        outputs = [f"{name}/Split/{part}" for part in QKV]
        query, key, values = graph.outputs(
            "Split", f"{name}/Split", [packed], outputs, axis=-1, num_outputs=3
        )
        if self.angles:
            query, key = (self._rotated(name, source) for source in (query, key))
        return graph.microsoft(
            "MultiHeadAttention",
            f"{name}/MultiHeadAttention",
            [query, key, values, "", self.mask],
            num_heads=self.encoder.heads,
        )

    def _rotated(self, name: str, source: str) -> str:
        part = source.rpartition("/")[2]
        return self.graph.microsoft("RotaryEmbedding", f"{name}/rotary/{part}", [source, *self.angles])

    def _stacked(self, name: str, parts: list[str], source: str, rows: int) -> str:
        """Write linear layers with inputs in common as one."""
        sizes = [rows] * len(parts)
        matrix = self.weights.stacked([f"{part}.weight" for part in parts], sizes, self.encoder.hidden)
        bias = self.weights.biases([f"{part}.bias" for part in parts], sizes)
        return write_linear(self.graph, name, source, matrix, bias)

    def _linear(self, name: str, source: str, rows: int, columns: int) -> str:
        matrix = self.weights.matrix(f"{name}.weight", rows, columns)
        bias = self.weights.biases([f"{name}.bias"], [rows])
        return write_linear(self.graph, f"/{name}", source, matrix, bias)

    def _norm(self, name: str, source: str) -> str:
        names = [f"{name}.{part}" for part in ("weight", "bias")]
        stored = [self.graph.constant(key, self.weights.vector(key, self.encoder.hidden)) for key in names]
        epsilon = self.encoder.epsilon
        return self.graph.op("LayerNormalization", f"/{name}", [source, *stored], axis=-1, epsilon=epsilon)
