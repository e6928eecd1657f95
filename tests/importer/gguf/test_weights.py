"""Tensors as weights under transformers' names: order of rows, gains of norms, floats and forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.importer.findings import ImporterError
from inference.importer.gguf import tensor_types as types
from inference.importer.gguf.blocks import QUANTIZATIONS
from inference.importer.gguf.names import NAMINGS
from inference.importer.gguf.parts import read_parts
from inference.importer.gguf.weights import GgufWeights
from inference.importer.graph.weights import BlockMatrix, FloatMatrix, Floats, unpacked
from tests.importer.gguf.gguf_files import GgufFile, Tensor, llama_arrays, llama_metadata, llama_tensors

LAYER = "model.layers.0"


def weights(tmp_path: Path, tensors: list[Tensor], eight_bits: bool = False, **changes: Any) -> GgufWeights:
    path = GgufFile(llama_metadata(**changes), tensors).write(tmp_path / "m.gguf")
    return GgufWeights(read_parts([path]), eight_bits)


def of(architecture: str) -> dict[str, Any]:
    """Return the metadata of the tiny llama under another architecture."""
    renamed = {
        key.replace("llama.", f"{architecture}."): value
        for key, value in llama_metadata().items()
        if key.startswith("llama.")
    }
    return {**renamed, "general.architecture": architecture}


def in_pairs(rows: Floats, heads: int) -> Floats:
    """Return rows as llama.cpp's converter orders those of a llama's queries and keys."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def replaced(tensors: list[Tensor], *others: Tensor) -> list[Tensor]:
    names = {other.name for other in others}
    return [tensor for tensor in tensors if tensor.name not in names] + list(others)


def random_blocks(kind: types.TensorType, rows: int, columns: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (rows * columns // kind.block, kind.size), dtype=np.uint8)
    for begin in {types.Q6_K: (208,), types.Q4_1: (0, 2), types.Q4_K: (0, 2)}.get(kind, (0,)):
        blocks[:, begin : begin + 2] = rng.random((len(blocks), 1)).astype("<f2").view(np.uint8)
    return blocks


def test_names_are_those_of_transformers(tmp_path: Path) -> None:
    assert set(weights(tmp_path, llama_tensors()).names) == {
        "model.embed_tokens.weight",
        "model.norm.weight",
        f"{LAYER}.input_layernorm.weight",
        f"{LAYER}.post_attention_layernorm.weight",
        f"{LAYER}.self_attn.q_proj.weight",
        f"{LAYER}.self_attn.k_proj.weight",
        f"{LAYER}.self_attn.v_proj.weight",
        f"{LAYER}.self_attn.o_proj.weight",
        f"{LAYER}.mlp.gate_proj.weight",
        f"{LAYER}.mlp.up_proj.weight",
        f"{LAYER}.mlp.down_proj.weight",
    }


def test_floats_stay_floats(tmp_path: Path) -> None:
    arrays, read = llama_arrays(), weights(tmp_path, llama_tensors())
    matrix = read.matrix(f"{LAYER}.mlp.gate_proj.weight")
    assert isinstance(matrix, FloatMatrix)
    assert np.array_equal(matrix.values, arrays["blk.0.ffn_gate.weight"])
    assert np.array_equal(read.vector("model.norm.weight"), arrays["output_norm.weight"])


def test_queries_and_keys_of_a_llama_are_put_in_transformers_order(tmp_path: Path) -> None:
    arrays = llama_arrays()
    query, key = arrays["blk.0.attn_q.weight"], arrays["blk.0.attn_k.weight"]
    paired = (
        Tensor.of("blk.0.attn_q.weight", in_pairs(query, 4)),
        Tensor.of("blk.0.attn_k.weight", in_pairs(key, 2)),
        Tensor.of("blk.0.attn_q.bias", in_pairs(query[:, 0], 4)),
    )
    read = weights(tmp_path, replaced(llama_tensors(), *paired))
    assert np.array_equal(unpacked(read.matrix(f"{LAYER}.self_attn.q_proj.weight")), query)
    assert np.array_equal(unpacked(read.matrix(f"{LAYER}.self_attn.k_proj.weight")), key)
    assert np.array_equal(read.vector(f"{LAYER}.self_attn.q_proj.bias"), query[:, 0])


def test_rows_of_blocks_move_without_loss(tmp_path: Path) -> None:
    blocks = random_blocks(types.Q4_1, 64, 64)
    quantized = Tensor("blk.0.attn_q.weight", (64, 64), blocks.tobytes(), types.Q4_1)
    matrix = weights(tmp_path, replaced(llama_tensors(), quantized)).matrix(
        f"{LAYER}.self_attn.q_proj.weight"
    )
    stored = QUANTIZATIONS[types.Q4_1].read(blocks).values().reshape(64, 64)
    assert isinstance(matrix, BlockMatrix)
    assert matrix.bits == 4
    assert np.abs(in_pairs(unpacked(matrix), 4) - stored).max() < 1e-6


@pytest.mark.parametrize("architecture", NAMINGS)
def test_only_architectures_with_rows_in_pairs_are_reordered(architecture: str) -> None:
    assert NAMINGS[architecture].interleaved == (architecture in ("llama", "granite", "smollm3"))


def test_gains_of_gemma_s_norms_are_less_by_the_one_that_the_file_adds(tmp_path: Path) -> None:
    arrays = llama_arrays()
    read = weights(tmp_path, llama_tensors(), **of("gemma2"))
    assert np.array_equal(read.vector("model.norm.weight"), arrays["output_norm.weight"] - np.float32(1))
    assert f"{LAYER}.pre_feedforward_layernorm.weight" in read.names
    assert np.array_equal(
        unpacked(read.matrix(f"{LAYER}.self_attn.q_proj.weight")), arrays["blk.0.attn_q.weight"]
    )


def test_queries_keys_and_values_in_one_tensor_are_three_weights(tmp_path: Path) -> None:
    arrays = llama_arrays()
    parts = [arrays.pop(f"blk.0.attn_{part}.weight") for part in "qkv"]
    arrays["blk.0.attn_qkv.weight"] = np.concatenate(parts)
    read = weights(tmp_path, [Tensor.of(name, array) for name, array in arrays.items()], **of("qwen2"))
    for part, expected in zip("qkv", parts, strict=True):
        assert np.array_equal(unpacked(read.matrix(f"{LAYER}.self_attn.{part}_proj.weight")), expected)


@pytest.mark.parametrize(
    ("kind", "layout"),
    [(types.F32, "<f4"), (types.F16, "<f2"), (types.BF16, "bf16")],
    ids=["F32", "F16", "BF16"],
)
def test_floats_are_read_in_every_width(tmp_path: Path, kind: types.TensorType, layout: str) -> None:
    values = (np.arange(96 * 64, dtype=np.float32).reshape(96, 64) % 251 - 125) / 4
    data = values.view("<u4") >> 16 if layout == "bf16" else values
    raw = data.astype("<u2") if layout == "bf16" else data.astype(layout)
    tensor = Tensor("blk.0.ffn_up.weight", (96, 64), raw.tobytes(), kind)
    read = weights(tmp_path, replaced(llama_tensors(), tensor))
    assert np.array_equal(unpacked(read.matrix(f"{LAYER}.mlp.up_proj.weight")), values)


def test_floats_become_eight_bits_where_that_is_asked(tmp_path: Path) -> None:
    read = weights(tmp_path, llama_tensors(), eight_bits=True)
    name = f"{LAYER}.mlp.up_proj.weight"
    matrix = read.matrix(name)
    assert isinstance(matrix, BlockMatrix)
    assert (matrix.bits, matrix.offsets) == (8, None)
    assert 0 < read.losses[name].relative < 0.01


def test_losses_are_of_the_tensors_that_were_rounded(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"llama.feed_forward_length": 256}
    arrays = llama_arrays()
    for name in ("ffn_gate", "ffn_up"):
        arrays[f"blk.0.{name}.weight"] = np.zeros((256, 64), np.float32)
    del arrays["blk.0.ffn_down.weight"]
    blocks = random_blocks(types.Q6_K, 64, 256)
    down = Tensor("blk.0.ffn_down.weight", (64, 256), blocks.tobytes(), types.Q6_K)
    read = weights(tmp_path, [*(Tensor.of(name, array) for name, array in arrays.items()), down], **changes)
    read.matrix(f"{LAYER}.mlp.down_proj.weight")
    assert 0 < read.losses[f"{LAYER}.mlp.down_proj.weight"].relative < 0.0062


def test_factors_of_rotary_embeddings_keep_their_name(tmp_path: Path) -> None:
    factors = Tensor.of("rope_freqs.weight", [1.0, 2.0, 4.0])
    assert weights(tmp_path, [*llama_tensors(), factors]).vector("rope_freqs.weight").tolist() == [1, 2, 4]


def test_rotary_embeddings_of_old_files_are_left_out(tmp_path: Path) -> None:
    frequencies = Tensor.of("blk.0.attn_rot_embd.weight", [1.0, 0.5])
    assert len(weights(tmp_path, [*llama_tensors(), frequencies]).names) == len(llama_tensors())


def test_an_unknown_name_is_a_key_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        weights(tmp_path, llama_tensors()).matrix("lm_head.weight")


@pytest.mark.parametrize("kind", [types.F32, types.Q4_1, types.Q6_K], ids=str)
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, kind: types.TensorType) -> None:
    columns = 256
    blocks = np.full((96 * columns // kind.block, kind.size), 0xFF, np.uint8)
    arrays = llama_arrays()
    del arrays["blk.0.ffn_up.weight"], arrays["blk.0.ffn_down.weight"], arrays["blk.0.ffn_gate.weight"]
    changes = {"general.architecture": "bert", **of("bert")}
    changes["bert.embedding_length"], changes["bert.attention.head_count"] = columns, 4
    tensors = [
        Tensor("blk.0.ffn_up.weight", (96, columns), blocks.tobytes(), kind),
        Tensor.of("token_embd.weight", np.ones((40, columns))),
    ]
    with pytest.raises(ImporterError, match=r"ffn_up.weight of m.gguf has numbers that are not finite"):
        weights(tmp_path, tensors, **changes).matrix("encoder.layer.0.intermediate.dense.weight")


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    read = weights(tmp_path, llama_tensors())
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(ImporterError, match=r"token_embd.weight of m.gguf ends early"):
        read.matrix("model.embed_tokens.weight")


def test_a_matrix_where_a_vector_is_needed_is_refused(tmp_path: Path) -> None:
    read = weights(tmp_path, llama_tensors())
    with pytest.raises(ImporterError, match="has 2 dimensions, not the 1 of a vector"):
        read.vector("model.embed_tokens.weight")
    with pytest.raises(ImporterError, match="has 1 dimensions, not the 2 of a matrix"):
        read.matrix("model.norm.weight")
