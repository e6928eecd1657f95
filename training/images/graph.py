"""The trained towers as ONNX graphs of onnxruntime's fused operators, weights stored in float16.

vision_model.onnx  pixel_values float32 [batch, 3, 64, 64] -> image_embeds float32 [batch, 128]
text_model.onnx    input_ids, attention_mask int64 [batch, sequence] -> text_embeds float32 [batch, 128]

Both outputs have unit length. The arithmetic is float32; towers.py is the same in torch.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from tools.graphs.graph_writer import GraphWriter, float_value, int64_value
from training.images.preprocessing import EDGE
from training.images.shape import EMBEDDING, EPSILON, GRID_TOKENS, STEM_CHANNELS, TEXT, VISION, Transformer

Array = NDArray[np.float32]
Weights = Mapping[str, Array]


class TowerGraph(GraphWriter):
    """The towers' parts, each reading the weights by the names training gave them."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.weights = weights

    def vision(self) -> str:
        grid = "pixel_values"
        for index in range(len(STEM_CHANNELS) - 1):
            grid = self.stem_step(f"stem.{index}", grid)
        shape = self.constant("tokens_shape", np.array([0, VISION.width, GRID_TOKENS], np.int64))
        rows = self.add("Reshape", [grid, shape], "grid_rows")
        tokens = self.add("Transpose", [rows], "grid_tokens", perm=[0, 2, 1])
        positions = self.half("vision.positions", self.weights["vision.positions"])
        hidden = self.transformer(VISION, self.add("Add", [tokens, positions], "vision.embedded"), mask="")
        pooled = self.add("ReduceMean", [hidden], "vision.pooled", axes=[1], keepdims=0)
        return self.projected(VISION, pooled, "image_embeds")

    def text(self) -> str:
        table = self.half("text.tokens", self.weights["text.tokens"])
        positions = self.half("text.positions", self.weights["text.positions"])
        tokens = self.add("Gather", [table, "input_ids"], "text.looked_up")
        length = self.add("Shape", ["input_ids"], "sequence", start=1, end=2)
        zero = self.constant("zero", np.array([0], np.int64))
        used = self.add("Slice", [positions, zero, length, zero], "text.used_positions")
        embedded = self.add("Add", [tokens, used], "text.embedded")
        hidden = self.transformer(TEXT, embedded, self.as_int32("attention_mask"))
        first = self.constant("first", np.array(0, np.int64))
        return self.projected(TEXT, self.add("Gather", [hidden, first], "text.pooled", axis=1), "text_embeds")

    def stem_step(self, name: str, grid: str) -> str:
        """Convolution with the batch norm folded into its weight and bias, then ReLU."""
        gain = self.weights[f"{name}.scale"] / np.sqrt(self.weights[f"{name}.variance"] + EPSILON)
        weight = self.half(f"{name}.weight", self.weights[f"{name}.weight"] * gain[:, None, None, None])
        shift = self.weights[f"{name}.bias"] - self.weights[f"{name}.mean"] * gain
        inputs = [grid, weight, self.constant(f"{name}.bias", shift)]
        convolved = self.add("Conv", inputs, name, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        return self.add("Relu", [convolved], f"{name}.relu")

    def transformer(self, tower: Transformer, residual: str, mask: str) -> str:
        """Every layer takes the normalised stream and the stream itself, and hands both on."""
        name = tower.name
        norms = [f"{name}.{layer}.norm1" for layer in range(tower.layers)] + [f"{name}.norm"]
        inputs = [residual, *self.norm_parameters(norms[0])]
        normed = self.add("LayerNormalization", inputs, norms[0], epsilon=EPSILON)
        for layer, following in enumerate(norms[1:]):
            prefix = f"{name}.{layer}"
            branch = self.attention(tower, prefix, normed, mask)
            normed, residual = self.residual_norm(f"{prefix}.out", branch, residual, f"{prefix}.norm2")
            branch = self.feed_forward(prefix, normed)
            normed, residual = self.residual_norm(f"{prefix}.down", branch, residual, following)
        return normed

    def attention(self, tower: Transformer, prefix: str, hidden: str, mask: str) -> str:
        bias = self.constant(f"{prefix}.qkv.bias", self.weights[f"{prefix}.qkv.bias"])
        inputs = [hidden, self.matrix(f"{prefix}.qkv"), bias, mask]
        attended = self.add("Attention", inputs, f"{prefix}.attention", num_heads=tower.heads)
        return self.matmul(f"{prefix}.out", attended)

    def feed_forward(self, prefix: str, hidden: str) -> str:
        bias = self.constant(f"{prefix}.up.bias", self.weights[f"{prefix}.up.bias"])
        active = self.add("BiasGelu", [self.matmul(f"{prefix}.up", hidden), bias], f"{prefix}.gelu")
        return self.matmul(f"{prefix}.down", active)

    def residual_norm(self, linear: str, branch: str, residual: str, norm: str) -> tuple[str, str]:
        """(LayerNorm(sum), sum) of the branch, its linear layer's bias and the residual stream."""
        bias = self.constant(f"{linear}.bias", self.weights[f"{linear}.bias"])
        inputs = [branch, residual, *self.norm_parameters(norm), bias]
        total = f"{norm}.sum"
        self.add("SkipLayerNormalization", inputs, norm, ["", "", total], epsilon=EPSILON)
        return norm, total

    def norm_parameters(self, norm: str) -> list[str]:
        return [self.constant(f"{norm}.{part}", self.weights[f"{norm}.{part}"]) for part in ("scale", "bias")]

    def projected(self, tower: Transformer, pooled: str, output: str) -> str:
        """The pooled vector in the space both towers share, at unit length."""
        embeds = self.matmul(f"{tower.name}.projection", pooled)
        return self.add("LpNormalization", [embeds], output, axis=-1, p=2)

    def matmul(self, linear: str, hidden: str) -> str:
        return self.add("MatMul", [hidden, self.matrix(linear)], linear)

    def matrix(self, linear: str) -> str:
        """A linear layer's weight as [in, out]; training keeps it as [out, in]."""
        return self.half(f"{linear}.weight", self.weights[f"{linear}.weight"].T)


def vision_model(weights: Weights) -> ModelProto:
    graph = TowerGraph(weights)
    output = float_value(graph.vision(), "batch", EMBEDDING)
    return graph.model("vision-tower", [float_value("pixel_values", "batch", 3, EDGE, EDGE)], output)


def text_model(weights: Weights) -> ModelProto:
    graph = TowerGraph(weights)
    output = float_value(graph.text(), "batch", EMBEDDING)
    inputs = [int64_value(name, "batch", "sequence") for name in ("input_ids", "attention_mask")]
    return graph.model("text-tower", inputs, output)
