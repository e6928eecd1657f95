"""A BERT encoder's checkpoint as an ONNX graph.

    input_ids, attention_mask, token_type_ids   int64   [batch, sequence]; the mask is 1 on tokens, else 0
    last_hidden_state                           float32 [batch, sequence, hidden]

Pooling and normalising stay with the backend, which reads them from the model's descriptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onnx import TensorProto

from inference.cards.json_files import Json
from inference.importer.findings import ImporterError, Report
from inference.importer.graph.checked_weights import CheckedWeights
from inference.importer.graph.decoder_config import number_of, size_of
from inference.importer.graph.graph_files import GraphEnds, GraphReport, value, write_files
from inference.importer.graph.linear import EmbeddingTable, write_linear
from inference.importer.graph.nodes import MICROSOFT, GraphNodes
from inference.importer.graph.weights import WeightSource, unpacked

ARCHITECTURE = "BertModel"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "last_hidden_state"
SIZES = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"),
    *("max_position_embeddings", "type_vocab_size"),
)


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The sizes of a BERT encoder."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float


def encoder_config(config: Json) -> EncoderConfig:
    """Return the encoder of a config.json. Raises `ImporterError` for one that the graph cannot express."""
    hidden, layers, heads, intermediate, vocabulary, positions, types = (
        size_of(config, name) for name in SIZES
    )
    kind = config.get("hidden_act", "gelu")
    if kind != "gelu" or config.get("position_embedding_type", "absolute") != "absolute":
        raise ImporterError("A BERT graph is written for the activation gelu and absolute positions only.")
    epsilon = number_of(config, "layer_norm_eps", 1e-12)
    return EncoderConfig(hidden, layers, heads, intermediate, vocabulary, positions, types, epsilon)


def write_encoder(config: Json, weights: WeightSource, target: Path, *, progress: Report) -> GraphReport:
    """Write an encoder's two files. Raises `ImporterError` for a config or tensors that do not fit."""
    encoder = encoder_config(config)
    anchor, prefixes = "embeddings.word_embeddings.weight", ("", "bert.")
    checked = CheckedWeights(weights, ARCHITECTURE, anchor, prefixes)

    def write(graph: GraphNodes) -> GraphEnds:
        _Encoding(graph, encoder, checked).run()
        progress(f"{encoder.layers} layers are written.")
        inputs = [value(name, TensorProto.INT64, "batch_size", "sequence_length") for name in INPUTS]
        sizes = ("batch_size", "sequence_length", encoder.hidden)
        return GraphEnds("encoder", inputs, [value(OUTPUT, TensorProto.FLOAT, *sizes)])

    return write_files(target, encoder.epsilon, write)


@dataclass(slots=True)
class _Encoding:
    """One encoder while its nodes are written."""

    graph: GraphNodes
    encoder: EncoderConfig
    weights: CheckedWeights

    def run(self) -> None:
        """Write all nodes from input_ids to last_hidden_state."""
        hidden = self._embedded()
        mask = self.graph.op("Cast", "/mask/Cast", ["attention_mask"], to=TensorProto.INT32)
        for layer in range(self.encoder.layers):
            hidden = self._layer(f"encoder.layer.{layer}", hidden, mask)
        self.graph.nodes[-1].output[0] = OUTPUT

    def _embedded(self) -> str:
        """Add up the embeddings of tokens, positions and types, and norm the sum."""
        graph, encoder = self.graph, self.encoder
        name = "embeddings.word_embeddings.weight"
        words = EmbeddingTable(graph, self.weights.matrix(name, encoder.vocabulary, encoder.hidden))
        types = self._table("token_type_embeddings", encoder.types)
        positions = self._table("position_embeddings", encoder.positions)
        kinds = graph.op("Gather", "/embeddings/types/Gather", [types, "token_type_ids"])
        length = graph.op("Shape", "/embeddings/Shape", ["input_ids"], start=1)
        first = graph.integers("/embeddings/first", 0)
        used = graph.op("Slice", "/embeddings/positions/Slice", [positions, first, length])
        both = graph.op("Add", "/embeddings/types/Add", [words.embed("input_ids"), kinds])
        return self._norm("embeddings", graph.op("Add", "/embeddings/positions/Add", [both, used]))

    def _table(self, name: str, rows: int) -> str:
        key = f"embeddings.{name}.weight"
        return self.graph.constant(key, unpacked(self.weights.matrix(key, rows, self.encoder.hidden)))

    def _layer(self, layer: str, hidden: str, mask: str) -> str:
        encoder, graph = self.encoder, self.graph
        attended = self._attended(f"{layer}.attention.self", hidden, mask)
        output = self._linear(f"{layer}.attention.output.dense", attended, encoder.hidden, encoder.hidden)
        added = graph.op("Add", f"/{layer}/attention/Add", [output, hidden])
        hidden = self._norm(f"{layer}.attention.output", added)
        wide = self._linear(f"{layer}.intermediate.dense", hidden, encoder.intermediate, encoder.hidden)
        active = graph.op("Gelu", f"/{layer}/intermediate/Gelu", [wide])
        output = self._linear(f"{layer}.output.dense", active, encoder.hidden, encoder.intermediate)
        return self._norm(f"{layer}.output", graph.op("Add", f"/{layer}/output/Add", [output, hidden]))

    def _attended(self, prefix: str, hidden: str, mask: str) -> str:
        graph, width = self.graph, self.encoder.hidden
        parts = [f"{prefix}.{part}" for part in ("query", "key", "value")]
        matrix = self.weights.stacked([f"{part}.weight" for part in parts], [width] * 3, width)
        bias = self.weights.biases([f"{part}.bias" for part in parts], [width] * 3)
        packed = write_linear(graph, f"/{prefix}/qkv", hidden, matrix, bias)
        outputs = [f"/{prefix}/Split/{part}" for part in ("query", "key", "value")]
        split = graph.outputs("Split", f"/{prefix}/Split", [packed], outputs, axis=-1, num_outputs=3)
        name, heads = f"/{prefix}/MultiHeadAttention", self.encoder.heads
        return graph.op("MultiHeadAttention", name, [*split, "", mask], domain=MICROSOFT, num_heads=heads)

    def _linear(self, name: str, source: str, rows: int, columns: int) -> str:
        matrix = self.weights.matrix(f"{name}.weight", rows, columns)
        return write_linear(self.graph, f"/{name}", source, matrix, self.weights.vector(f"{name}.bias", rows))

    def _norm(self, block: str, source: str) -> str:
        names = [f"{block}.LayerNorm.{part}" for part in ("weight", "bias")]
        stored = [self.graph.constant(name, self.weights.vector(name, self.encoder.hidden)) for name in names]
        name, epsilon = f"/{block}/LayerNorm", self.encoder.epsilon
        return self.graph.op("LayerNormalization", name, [source, *stored], axis=-1, epsilon=epsilon)
