"""An encoder by its config.json, and the rows of the architectures whose graph is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inference.cards.json_files import Json
from inference.importer.findings import ImporterError
from inference.importer.graph.architectures import architecture_named
from inference.importer.graph.decoder_config import HEAD_MULTIPLE, number_of, size_of
from inference.importer.graph.rope import Rope, rope_of


@dataclass(frozen=True, slots=True)
class EncoderRow:
    """An architecture: the names of a layer's tensors, and what its graph has."""

    name: str
    prefixes: tuple[str, ...]
    """Before the names of a tower among others."""
    layers: str
    query: str
    key: str
    value: str
    output: str
    """The projection of attention's output."""
    attention_norm: str
    mlp_norm: str
    up: str
    down: str
    activation: str
    gate: str | None = None
    """The gate of the MLP; None where there is none."""
    rotary: bool = False
    """True where queries and keys rotate, and no table of positions is added."""

    def layer(self, index: int) -> str:
        """Return what the names of a layer's tensors begin with."""
        return f"{self.layers}.{index}"


ENCODERS: Mapping[str, EncoderRow] = {
    row.name: row
    for row in (
        EncoderRow(
            "BertModel",
            prefixes=("", "bert."),
            layers="encoder.layer",
            query="attention.self.query",
            key="attention.self.key",
            value="attention.self.value",
            output="attention.output.dense",
            attention_norm="attention.output.LayerNorm",
            mlp_norm="output.LayerNorm",
            up="intermediate.dense",
            down="output.dense",
            activation="gelu",
        ),
        EncoderRow(
            "NomicBertModel",
            prefixes=("", "nomic_bert."),
            layers="layers",
            query="self_attn.q_proj",
            key="self_attn.k_proj",
            value="self_attn.v_proj",
            output="self_attn.o_proj",
            attention_norm="post_attention_layernorm",
            mlp_norm="post_mlp_layernorm",
            up="mlp.up_proj",
            down="mlp.down_proj",
            activation="silu",
            gate="mlp.gate_proj",
            rotary=True,
        ),
    )
}
SIZES = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"),
    *("max_position_embeddings", "type_vocab_size"),
)


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The sizes of an encoder."""

    row: EncoderRow
    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float
    rope: Rope | None


def encoder_config(config: Json) -> EncoderConfig:
    """Return the encoder of a config.json. Raises `ImporterError` for one that the graph cannot express."""
    row = ENCODERS[architecture_named(config)]
    hidden, layers, heads, intermediate, vocabulary, positions, types = (
        size_of(config, name) for name in SIZES
    )
    kind = config.get("hidden_act", row.activation)
    if kind != row.activation or config.get("position_embedding_type", "absolute") != "absolute":
        places = "rotary" if row.rotary else "absolute"
        raise ImporterError(
            f"A graph of {row.name} is written for the activation {row.activation} and {places} positions "
            "only."
        )
    if hidden % heads:
        raise ImporterError(f"config.json has hidden_size {hidden}, no multiple of its {heads} heads.")
    epsilon = number_of(config, "layer_norm_eps", 1e-12)
    rope = _rope(config, hidden // heads, positions) if row.rotary else None
    return EncoderConfig(
        row, hidden, layers, heads, intermediate, vocabulary, positions, types, epsilon, rope
    )


def _rope(config: Json, head: int, positions: int) -> Rope:
    if head % HEAD_MULTIPLE:
        raise ImporterError(
            f"config.json has heads of which {head} sizes rotate; onnxruntime rotates multiples of "
            f"{HEAD_MULTIPLE}."
        )
    return rope_of(config.get("rope_parameters") or {}, 1000.0, head, positions)
