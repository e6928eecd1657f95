"""The files of a model of 0.5 billion random weights in 4 bits, as onnxruntime-genai's builder leaves them.

The shape is Qwen2.5-0.5B's, embedding and head kept apart in 4 bits too: some 340 MB beside the graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers

from starters.decoder_graph import DecoderShape, GraphWriter, cache_info, tensor_info, write_decoder
from starters.decoder_weights import BLOCK, Weights, weight_shapes
from tests.decoders import CHAT_TEMPLATE, byte_alphabet, write_json

SHAPE = DecoderShape(
    vocab=151_936,
    hidden=896,
    layers=24,
    heads=14,
    kv_heads=2,
    head_dim=64,
    ffn=4864,
    context=4096,
    qkv_bias=True,
    tied=False,
)
FLOAT = onnx.TensorProto.FLOAT
INT64 = onnx.TensorProto.INT64


class FourBits(GraphWriter):
    """Random levels in place of rounded weights; two levels a byte, in the embedding too."""

    def quantized(self, name: str, weight: NDArray[np.float32]) -> tuple[str, str]:
        rows, columns = weight.shape
        random = np.random.default_rng(rows)
        levels = random.integers(0, 256, (rows, columns // BLOCK, BLOCK // 2), np.uint8)
        scales = np.full((rows, columns // BLOCK), 1 / 256, np.float32)
        return self.constant(f"{name}.weight_Q4", levels), self.constant(f"{name}.scales", scales)

    def constant(self, name: str, array: NDArray[Any]) -> str:
        halved = array // [1, 2] if name == "model.embed_tokens.shape" else array
        return super().constant(name, halved)

    def emit(
        self, kind: str, name: str, inputs: list[str], outputs: list[str], *, domain: str = "", **more: Any
    ) -> None:
        four = {"bits": 4} if "bits" in more else {}
        super().emit(kind, name, inputs, outputs, domain=domain, **{**more, **four})


def write(folder: Path) -> Path:
    """A folder without a model.json under `folder`."""
    target = folder / "half-billion"
    target.mkdir()
    onnx.save(_graph(), str(target / "model.onnx"), save_as_external_data=True, location="model.onnx.data")
    _tokenizer().save(str(target / "tokenizer.json"))
    (target / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    write_json(target / "genai_config.json", {"model": {"decoder": {"head_size": SHAPE.head_dim}}})
    write_json(target / "config.json", {"max_position_embeddings": SHAPE.context})
    return target


def _graph() -> onnx.ModelProto:
    graph = FourBits(8)
    # Zeros take no memory until they are looked at, and levels are made without looking.
    weights: Weights = {name: np.zeros(size, np.float32) for name, size in weight_shapes(SHAPE).items()}
    write_decoder(graph, SHAPE, weights)
    inputs = [
        tensor_info("input_ids", INT64, "batch", "sequence"),
        tensor_info("attention_mask", INT64, "batch", "total"),
    ]
    outputs = [tensor_info("logits", FLOAT, "batch", "sequence", SHAPE.vocab)]
    inputs += [cache_info(SHAPE, f"past_key_values.{name}", "past") for name in _caches()]
    outputs += [cache_info(SHAPE, f"present.{name}", "total") for name in _caches()]
    body = onnx.helper.make_graph(graph.nodes, "decoder", inputs, outputs, graph.initializers)
    for value in (*body.input[2:], *body.output[1:]):
        value.type.tensor_type.shape.dim[3].dim_param = "kv_cache_dim"
    opsets = [onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("com.microsoft", 1)]
    return onnx.helper.make_model(body, opset_imports=opsets, ir_version=10)


def _caches() -> Iterator[str]:
    return (f"{layer}.{part}" for layer in range(SHAPE.layers) for part in ("key", "value"))


def _tokenizer() -> Tokenizer:
    """As many tokens as the shape has, so that reading them takes as long as it does."""
    texts = [*byte_alphabet(), *(f"token{number}" for number in range(256, SHAPE.vocab - 256))]
    tokenizer = Tokenizer(models.BPE(vocab={text: number for number, text in enumerate(texts)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer
