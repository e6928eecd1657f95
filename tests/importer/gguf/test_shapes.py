"""Metadata and tensors that contradict each other are refused, and architectures that are not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.importer.findings import ImporterError
from inference.importer.gguf.parts import read_parts
from inference.importer.gguf.rows import rows_by_name
from tests.importer.gguf.gguf_files import GgufFile, Tensor, llama_arrays, llama_metadata


def refusal(
    tmp_path: Path, *, without: str = "", more: Tensor | None = None, layers: int = 1, **changes: Any
) -> str:
    tensors = [
        Tensor.of(name, array) for name, array in llama_arrays(layers=layers).items() if name != without
    ]
    metadata = {key: value for key, value in llama_metadata(**changes).items() if value is not None}
    path = GgufFile(metadata, [*tensors, *([more] if more else [])]).write(tmp_path / "m.gguf")
    with pytest.raises(ImporterError) as caught:
        rows_by_name(read_parts([path]))
    return str(caught.value)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another architecture": (
        {"general.architecture": "mamba"},
        "m.gguf is of the architecture mamba, which is not read. Take a model of one of these: llama, qwen2,",
    ),
    "no architecture": ({"general.architecture": None}, "m.gguf is of no architecture"),
    "a vocabulary of another size": (
        {"tokenizer.ggml.tokens": ["a", "b"]},
        "the vocabulary has 2 tokens and token_embd.weight 40 rows",
    ),
    "no size": ({"llama.embedding_length": None}, "llama.embedding_length is missing"),
    "a size of zero": ({"llama.attention.head_count": 0}, "llama.attention.head_count is 0"),
    "another width": (
        {"llama.embedding_length": 128},
        "the tensor blk.0.attn_norm.weight has the shape [64], not [128]",
    ),
    "another inner size": (
        {"llama.feed_forward_length": 64},
        "the tensor blk.0.ffn_gate.weight has the shape [96, 64], not [64, 64]",
    ),
    "another number of heads for keys": (
        {"llama.attention.head_count_kv": 4},
        "the tensor blk.0.attn_k.weight has the shape [32, 64], not [64, 64]",
    ),
    "heads that do not divide": (
        {"llama.attention.head_count_kv": 3},
        "4 heads with 3 for keys, of 16 numbers each, are not possible",
    ),
    "more layers": ({"llama.block_count": 2}, "it states 2 layers, and there are tensors of 1"),
    "fewer layers": ({"layers": 2}, "it states 1 layers, and there are tensors of 2"),
    "very many layers": ({"llama.block_count": 1 << 31}, "it states 2,147,483,648 layers"),
    "no embedding": ({"without": "token_embd.weight"}, "the tensor token_embd.weight is missing"),
    "a layer without a tensor": (
        {"layers": 2, "llama.block_count": 2, "without": "blk.1.attn_v.weight"},
        "the tensor blk.1.attn_v.weight is missing",
    ),
    "an unknown tensor": (
        {"more": Tensor.of("blk.0.ssm_in.weight", np.ones((2, 2)))},
        "has the tensor blk.0.ssm_in.weight, which models of the architecture llama do not have",
    ),
    "a mixture of experts": (
        {"more": Tensor.of("blk.0.ffn_up_exps.weight", np.ones((2, 2, 2)))},
        "it is a mixture of experts, which no graph is written for",
    ),
    "a tensor without a kind": (
        {"more": Tensor.of("output", np.ones((2, 2)))},
        "has the tensor output, which",
    ),
}


@pytest.mark.parametrize(("changes", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_contradiction_is_refused_in_a_sentence(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    message = refusal(tmp_path, **changes)
    assert reason in message
    assert message.endswith(".")
