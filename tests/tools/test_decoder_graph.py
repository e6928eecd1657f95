"""The ONNX decoder against a forward pass written in plain numpy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from tools.graphs.decoder_graph import DecoderShape, Weights, decoder_graph, quantize_blocks, random_weights

Array = NDArray[Any]

LLAMA = DecoderShape(
    vocab=96, hidden=64, layers=2, heads=4, kv_heads=2, head_dim=16, ffn=96, context=48, tied=False
)
QWEN2 = replace(LLAMA, qkv_bias=True, tied=True, rope_theta=50000.0)


def numpy_logits(shape: DecoderShape, weights: Weights, tokens: list[int]) -> Array:
    """float64 logits [tokens, vocab] of one row, nothing cached."""
    count = len(tokens)
    stream = weights["model.embed_tokens.weight"].astype(np.float64)[tokens]
    for layer in range(shape.layers):
        part = {k.removeprefix(f"model.layers.{layer}."): v.astype(np.float64) for k, v in weights.items()}
        normed = rms_norm(stream, part["input_layernorm.weight"], shape.norm_eps)
        query, key, value = (project(shape, part, normed, name) for name in "qkv")
        query, key = rotate(query, shape.rope_theta), rotate(key, shape.rope_theta)
        key, value = (np.repeat(x, shape.heads // shape.kv_heads, axis=0) for x in (key, value))
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(shape.head_dim)
        scores[:, np.triu(np.ones((count, count), bool), 1)] = -np.inf
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = scores / scores.sum(-1, keepdims=True) @ value
        stream = stream + mixed.transpose(1, 0, 2).reshape(count, -1) @ part["self_attn.o_proj.weight"].T
        normed = rms_norm(stream, part["post_attention_layernorm.weight"], shape.norm_eps)
        gate = normed @ part["mlp.gate_proj.weight"].T
        hidden = gate / (1 + np.exp(-gate)) * (normed @ part["mlp.up_proj.weight"].T)
        stream = stream + hidden @ part["mlp.down_proj.weight"].T
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"]).astype(np.float64)
    return np.asarray(rms_norm(stream, weights["model.norm.weight"], shape.norm_eps) @ head.T)


def rms_norm(x: Array, gain: Array, eps: float) -> Array:
    return np.asarray(x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * gain)


def project(shape: DecoderShape, part: dict[str, Array], normed: Array, name: str) -> Array:
    """[heads, tokens, head_dim]"""
    flat = normed @ part[f"self_attn.{name}_proj.weight"].T + part.get(f"self_attn.{name}_proj.bias", 0.0)
    return np.asarray(flat.reshape(len(normed), -1, shape.head_dim).transpose(1, 0, 2))


def rotate(x: Array, theta: float) -> Array:
    half = x.shape[-1] // 2
    angles = np.arange(x.shape[1])[:, None] * theta ** -(np.arange(half) / half)
    cos, sin, low, high = np.cos(angles), np.sin(angles), x[..., :half], x[..., half:]
    return np.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)


def open_session(shape: DecoderShape, weights: Weights, bits: Literal[8, 32] = 32) -> ort.InferenceSession:
    model = decoder_graph(shape, weights, bits=bits).SerializeToString()
    return ort.InferenceSession(model, providers=["CPUExecutionProvider"])


def empty_past(shape: DecoderShape, rows: int) -> dict[str, Array]:
    empty = np.zeros((rows, shape.kv_heads, 0, shape.head_dim), np.float32)
    return {f"past_key_values.{n}.{part}": empty for n in range(shape.layers) for part in ("key", "value")}


def step(
    session: ort.InferenceSession, ids: Array, mask: Array, past: dict[str, Array]
) -> tuple[Array, dict[str, Array]]:
    """Logits and the past of the next step."""
    names = [output.name for output in session.get_outputs()]
    feeds = {"input_ids": ids.astype(np.int64), "attention_mask": mask.astype(np.int64), **past}
    found = dict(zip(names, session.run(None, feeds), strict=True))
    logits = found.pop("logits")
    return logits, {name.replace("present", "past_key_values"): value for name, value in found.items()}


@pytest.mark.parametrize("shape", [LLAMA, QWEN2, replace(LLAMA, tied=True), replace(QWEN2, kv_heads=4)])
def test_prefill_then_decode_equals_numpy(shape: DecoderShape) -> None:
    weights = random_weights(shape, seed=1)
    session = open_session(shape, weights)
    tokens = np.random.default_rng(2).integers(0, shape.vocab, 20).tolist()
    expected = numpy_logits(shape, weights, tokens)
    logits, past = step(session, np.array([tokens[:12]]), np.ones((1, 12)), empty_past(shape, 1))
    np.testing.assert_allclose(logits[0], expected[:12], atol=1e-4)
    logits, past = step(session, np.array([tokens[12:17]]), np.ones((1, 17)), past)
    np.testing.assert_allclose(logits[0], expected[12:17], atol=1e-4)
    for position in range(17, 20):
        logits, past = step(session, np.array([[tokens[position]]]), np.ones((1, position + 1)), past)
        np.testing.assert_allclose(logits[0, 0], expected[position], atol=1e-4)


def test_ragged_rows_equal_each_row_alone() -> None:
    weights = random_weights(QWEN2, seed=3)
    session = open_session(QWEN2, weights)
    rng = np.random.default_rng(4)
    rows = [rng.integers(0, QWEN2.vocab, length).tolist() for length in (9, 3, 14)]
    width = max(len(row) for row in rows) - 1
    ids, mask = np.zeros((3, width)), np.zeros((3, width))
    for index, row in enumerate(rows):
        ids[index, : len(row) - 1], mask[index, : len(row) - 1] = row[:-1], 1
    logits, past = step(session, ids, mask, empty_past(QWEN2, 3))
    expected = [numpy_logits(QWEN2, weights, row) for row in rows]
    for index, row in enumerate(rows):
        np.testing.assert_allclose(logits[index, : len(row) - 1], expected[index][:-1], atol=1e-4)
    grown = np.array([[1] * len(row) + [0] * (width + 1 - len(row)) for row in rows])
    logits, _ = step(session, np.array([[row[-1]] for row in rows]), grown, past)
    for index in range(len(rows)):
        np.testing.assert_allclose(logits[index, 0], expected[index][-1], atol=1e-4)


@pytest.mark.parametrize("shape", [LLAMA, QWEN2])
def test_eight_bit_graph_follows_its_own_rounded_weights(shape: DecoderShape) -> None:
    weights = random_weights(shape, seed=5)
    rounded = {name: round_trip(array) if array.ndim == 2 else array for name, array in weights.items()}
    tokens = np.random.default_rng(6).integers(0, shape.vocab, 16).tolist()
    session = open_session(shape, weights, bits=8)
    logits, _ = step(session, np.array([tokens]), np.ones((1, 16)), empty_past(shape, 1))
    expected = numpy_logits(shape, rounded, tokens)
    # accuracy_level 4 rounds activations to 8 bit as well, so this is a tolerance on the error's size
    assert np.sqrt(((logits[0] - expected) ** 2).mean()) < 0.05 * expected.std()


def round_trip(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    levels, scales = quantize_blocks(weight)
    return ((levels.astype(np.float32) - 128) * scales[:, :, None]).reshape(weight.shape)


def test_eight_bit_stores_a_tied_embedding_once() -> None:
    shape = replace(QWEN2, vocab=4096)
    tied = decoder_graph(shape, random_weights(shape, seed=7), bits=8).ByteSize()
    untied = replace(shape, tied=False)
    separate = decoder_graph(untied, random_weights(untied, seed=7), bits=8).ByteSize()
    assert separate - tied > shape.vocab * shape.hidden


def test_rows_that_do_not_fill_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        quantize_blocks(np.zeros((4, 40), np.float32))
