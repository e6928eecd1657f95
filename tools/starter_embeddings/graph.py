"""A BERT encoder as an ONNX graph of onnxruntime's fused operators.

Inputs  input_ids, attention_mask, token_type_ids: int64 [batch, sequence]; the mask is 1 on tokens, else 0.
Output  last_hidden_state: float32 [batch, sequence, hidden]. Pooling and normalising stay with the caller,
        who reads them from modules.json and 1_Pooling/config.json.

One layer is Attention, MatMul and LayerNormalization, then MatMul, BiasGelu, MatMul and LayerNormalization,
with an Add for each bias and residual. BiasGelu is the exact error-function GELU the model was trained with.
The fused SkipLayerNormalization is left out: on a CPU it takes five times as long as its three parts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from tools.graphs.graph_writer import GraphWriter, float_value, int64_value
from tools.starter_embeddings.safetensors import Tensors

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "last_hidden_state"


@dataclass(frozen=True)
class BertConfig:
    """The numbers of a checkpoint's config.json that shape its encoder."""

    hidden_size: int
    layers: int
    heads: int
    epsilon: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "BertConfig":
        if config["hidden_act"] != "gelu":
            raise ValueError(f"hidden_act {config['hidden_act']!r} is not gelu")
        return cls(
            hidden_size=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            epsilon=config["layer_norm_eps"],
        )


class BertGraph(GraphWriter):
    """The encoder's parts, each reading the checkpoint's weights by their own names."""

    def __init__(self, weights: Tensors, config: BertConfig) -> None:
        super().__init__()
        self.weights = weights
        self.config = config

    def encode(self) -> str:
        """Write the whole forward pass."""
        hidden = self.embeddings()
        mask = self.as_int32("attention_mask")
        for index in range(self.config.layers):
            hidden = self.layer(f"encoder.layer.{index}", hidden, mask)
        return self.add("Identity", [hidden], OUTPUT)

    def embeddings(self) -> str:
        tables = ("word_embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight")
        norm = ("LayerNorm.weight", "LayerNorm.bias")
        inputs = [self.as_int32("input_ids"), self.as_int32("token_type_ids")]
        inputs += [self.parameter(f"embeddings.{name}") for name in (*tables, *norm)]
        # The second output, a length per row, is required by the operator's schema and goes unused.
        unused, epsilon = ["embeddings_length"], self.config.epsilon
        return self.add("EmbedLayerNormalization", inputs, "embeddings", unused, epsilon=epsilon)

    def layer(self, layer: str, hidden: str, mask: str) -> str:
        attended = self.attention(layer, hidden, mask)
        projected = self.matmul(f"{layer}.attention.output.dense", attended)
        hidden = self.residual_norm(f"{layer}.attention.output", projected, hidden)
        widened = self.matmul(f"{layer}.intermediate.dense", hidden)
        bias = self.parameter(f"{layer}.intermediate.dense.bias")
        active = self.add("BiasGelu", [widened, bias], f"{layer}.intermediate")
        narrowed = self.matmul(f"{layer}.output.dense", active)
        return self.residual_norm(f"{layer}.output", narrowed, hidden)

    def attention(self, layer: str, hidden: str, mask: str) -> str:
        """Write self-attention; one packed weight [hidden, 3 x hidden] projects query, key and value."""
        parts = [f"{layer}.attention.self.{part}" for part in ("query", "key", "value")]
        weights = np.concatenate([self.transposed(part) for part in parts], axis=1)
        biases = np.concatenate([self.weights[f"{part}.bias"] for part in parts])
        packed = [self.constant(f"{layer}.qkv.weight", weights), self.constant(f"{layer}.qkv.bias", biases)]
        inputs = [hidden, *packed, mask]
        return self.add("Attention", inputs, f"{layer}.attention.self", num_heads=self.config.heads)

    def matmul(self, layer: str, hidden: str) -> str:
        """Multiply `hidden` by a linear layer's weight; the next fused operator adds the bias."""
        return self.add("MatMul", [hidden, self.constant(f"{layer}.weight", self.transposed(layer))], layer)

    def residual_norm(self, block: str, branch: str, residual: str) -> str:
        """Write LayerNorm(branch + bias + residual); `block` names the linear layer that made the branch."""
        biased = self.add("Add", [branch, self.parameter(f"{block}.dense.bias")], f"{block}.dense.biased")
        total = self.add("Add", [biased, residual], f"{block}.residual")
        norm = [self.parameter(f"{block}.LayerNorm.{part}") for part in ("weight", "bias")]
        inputs, epsilon = [total, *norm], self.config.epsilon
        return self.add("LayerNormalization", inputs, f"{block}.LayerNorm", epsilon=epsilon)

    def parameter(self, name: str) -> str:
        return self.constant(name, self.weights[name])

    def transposed(self, layer: str) -> NDArray[Any]:
        """Return a linear layer's weight as [in, out]; the checkpoint keeps it as [out, in]."""
        return self.weights[f"{layer}.weight"].T


def encoder_model(weights: Tensors, config: BertConfig) -> ModelProto:
    """Return the checkpoint's encoder as a model with dynamic batch and sequence."""
    graph = BertGraph(weights, config)
    graph.encode()
    inputs = [int64_value(name, "batch", "sequence") for name in INPUTS]
    return graph.model("bert-encoder", inputs, float_value(OUTPUT, "batch", "sequence", config.hidden_size))
