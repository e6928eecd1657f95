"""A chat deployment of half a billion 4-bit weights, of Qwen2.5-0.5B's shape, and a tokenizer of that size.

The weights are noise, which costs as much to read, to pack and to multiply as any others. Levels are drawn as
they stand in the file: nothing is quantized, and no float copy of the weights is ever made.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tests.support.decoders import CARD, CHAT_TEMPLATE, SPECIAL, byte_alphabet, write_json
from tools.graphs.decoder_graph import (
    IR_VERSION,
    OPSET,
    DecoderShape,
    DecoderWriter,
    Head,
    Weights,
    cache_info,
    tensor_info,
    write_decoder,
)

NAME = "half-billion"
SHAPE = DecoderShape(
    vocab=151936,
    hidden=896,
    layers=24,
    heads=14,
    kv_heads=2,
    head_dim=64,
    ffn=4864,
    context=4096,
    qkv_bias=True,
)
BLOCK = 32
TOKENS = 151_000
"""Of the tokenizer."""
ATTRIBUTES = {"bits": 4, "block_size": BLOCK}


class FourBits(DecoderWriter):
    """Writes random levels of 4 bits, two in a byte, in blocks of 32 with a float scale each."""

    def __init__(self) -> None:
        super().__init__(8)
        self._random = np.random.default_rng(0)

    def quantized(self, name: str, weight: NDArray[np.float32]) -> tuple[str, str]:
        rows, blocks = weight.shape[0], weight.shape[1] // BLOCK
        packed = self._random.integers(0, 256, (rows, blocks, BLOCK // 2), dtype=np.uint8)
        scales = np.full((rows, blocks), 0.01, np.float32)
        return self.constant(f"{name}.weight_Q4", packed), self.constant(f"{name}.weight_scales", scales)

    def quantized_linear(
        self, name: str, source: str, levels: str, scales: str, size: tuple[int, ...]
    ) -> str:
        attributes = {"N": size[0], "K": size[1], "accuracy_level": 4, **ATTRIBUTES}
        inputs = [source, levels, scales]
        return self.op("MatMulNBits", f"{name}/MatMulNBits", inputs, domain="com.microsoft", **attributes)

    def embedding_and_head(self, embedding: NDArray[np.float32], head: NDArray[np.float32] | None) -> Head:
        assert head is None, "the embedding is tied"
        levels, scales = self.quantized("model.embed_tokens", embedding)
        rows = np.array([embedding.shape[0], embedding.shape[1] // 2], dtype=np.int64)
        shape = self.constant("model.embed_tokens.shape", rows)
        flat = self.op("Reshape", "/model/embed_tokens/Reshape", [levels, shape])
        name = "/model/embed_tokens/GatherBlockQuantized"
        inputs, attributes = [flat, "input_ids", scales], {"gather_axis": 0, "quantize_axis": 1, **ATTRIBUTES}
        embedded = self.op("GatherBlockQuantized", name, inputs, domain="com.microsoft", **attributes)
        return Head(embedded, levels, scales)


def shapes(shape: DecoderShape) -> Weights:
    """Return weights of which only the shapes are looked at, and ones for those that are not quantized."""
    heads = {"q": shape.heads, "k": shape.kv_heads, "v": shape.kv_heads}
    size, hidden = shape.head_dim, shape.hidden
    sizes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (shape.vocab, hidden),
        "model.norm.weight": (hidden,),
    }
    for layer in range(shape.layers):
        prefix = f"model.layers.{layer}"
        for part, count in heads.items():
            sizes[f"{prefix}.self_attn.{part}_proj.weight"] = (count * size, hidden)
            sizes[f"{prefix}.self_attn.{part}_proj.bias"] = (count * size,)
        sizes[f"{prefix}.self_attn.o_proj.weight"] = (hidden, shape.heads * size)
        sizes[f"{prefix}.mlp.gate_proj.weight"] = (shape.ffn, hidden)
        sizes[f"{prefix}.mlp.up_proj.weight"] = (shape.ffn, hidden)
        sizes[f"{prefix}.mlp.down_proj.weight"] = (hidden, shape.ffn)
        for norm in ("input", "post_attention"):
            sizes[f"{prefix}.{norm}_layernorm.weight"] = (hidden,)
    return {name: np.broadcast_to(np.float32(1), dimensions) for name, dimensions in sizes.items()}


def write(folder: Path, shape: DecoderShape = SHAPE, tokens: int = TOKENS) -> Path:
    """Write the deployment into a folder of its own under `folder`: some 320 MB, in some seconds."""
    target = folder / NAME
    target.mkdir(parents=True)
    onnx.save(
        _graph(shape),
        target / "model.onnx",
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location="model.onnx.data",
    )
    _tokenizer(tokens).save(str(target / "tokenizer.json"))
    (target / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    config = {
        "max_position_embeddings": shape.context,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "hidden_size": shape.hidden,
    }
    write_json(target / "config.json", config)
    write_json(target / "model.json", {"name": NAME, "context": shape.context, **CARD})
    return target


def _graph(shape: DecoderShape) -> onnx.ModelProto:
    graph = FourBits()
    write_decoder(graph, shape, shapes(shape))
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
    return helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION)


def _tokenizer(size: int) -> Tokenizer:
    """Return bytes and enough merges of two earlier tokens: costs as much to read as a real tokenizer."""
    random = np.random.default_rng(0)
    vocabulary = {text: byte for byte, text in enumerate(byte_alphabet())}
    texts, merges = list(vocabulary), []
    while len(vocabulary) < size:
        left, right = (texts[int(each)] for each in random.integers(0, min(len(texts), 6000), 2))
        if left + right not in vocabulary and len(left + right) < 12:
            merges.append((left, right))
            vocabulary[left + right] = len(vocabulary)
            texts.append(left + right)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in SPECIAL])
    return tokenizer


def weights_size(folder: Path) -> int:
    """Return the bytes of the graph and its weights."""
    return sum(path.stat().st_size for path in folder.glob("model.onnx*"))
