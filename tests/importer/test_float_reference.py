"""The original weights of a model in float32, as a deployment to compare with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.importer.findings import ImporterError
from inference.importer.float_reference import Original, OriginalKind, original_of, write_float_reference
from inference.importer.gguf.blocks import QUANTIZATIONS
from inference.importer.gguf.parts import read_parts
from inference.importer.gguf.tensor_types import Q4_1, Q5_0, Q8_0, TensorType
from inference.importer.gguf.weights import GgufWeights
from inference.importer.graph.weights import FloatMatrix
from inference.settings import Settings
from tests.importer.gguf.gguf_files import GgufFile, Tensor, llama_metadata, llama_tensors
from tests.importer.gguf.test_weights import random_blocks, replaced

VOCABULARY: dict[str, Any] = {
    "tokenizer.ggml.tokens": [*map(chr, range(33, 70)), "<s>", "</s>", "Ġ"],
    "tokenizer.ggml.token_type": [1] * 37 + [3, 3, 1],
    "tokenizer.ggml.merges": ['! "'],
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.bos_token_id": 37,
    "tokenizer.ggml.eos_token_id": 38,
    "llama.rope.freq_base": 10000.0,
}


def gguf(path: Path) -> Path:
    return GgufFile(llama_metadata(**VOCABULARY), llama_tensors()).write(path)


def test_a_gguf_file_is_an_original_with_and_without_its_word(tmp_path: Path) -> None:
    file = str(gguf(tmp_path / "m.gguf"))
    expected = Original(OriginalKind.GGUF, file)
    assert original_of(file) == original_of(f"gguf:{file}") == original_of(f"GGUF:{file}") == expected
    assert original_of(str(tmp_path)) == Original(OriginalKind.GGUF, str(tmp_path))


@pytest.mark.parametrize(
    ("text", "kind", "source"),
    [
        ("hf:owner/repo", OriginalKind.CHECKPOINT, "hf:owner/repo"),
        ("hf:owner/repo@main", OriginalKind.CHECKPOINT, "hf:owner/repo@main"),
        ("hf:/some/folder", OriginalKind.CHECKPOINT, "/some/folder"),
        ("hf:owner/repo:Q8_0", OriginalKind.GGUF, "hf:owner/repo:Q8_0"),
        ("gguf:hf:owner/repo:m.gguf", OriginalKind.GGUF, "hf:owner/repo:m.gguf"),
    ],
)
def test_an_original_on_the_hub_is_a_checkpoint_unless_a_file_is_named(
    text: str, kind: OriginalKind, source: str
) -> None:
    assert original_of(text) == Original(kind, source)


def test_a_folder_with_safetensors_is_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert original_of(str(tmp_path)) is None
    (tmp_path / "config.json").write_text("{}")
    assert original_of(str(tmp_path)) == Original(OriginalKind.CHECKPOINT, str(tmp_path))


@pytest.mark.parametrize("text", ["my-chat", "gguf-chat", "scores.json"])
def test_a_deployment_s_name_is_no_original(text: str) -> None:
    assert original_of(text) is None


@pytest.mark.parametrize(("text", "advice"), [("gguf", "gguf:FILE.gguf"), ("hf:", "hf:owner/repo")])
def test_a_kind_without_a_place_is_refused_with_what_is_missing(text: str, advice: str) -> None:
    with pytest.raises(ImporterError, match=f"does not say where .* Write {advice}"):
        original_of(text)


@pytest.mark.parametrize("kind", [Q4_1, Q5_0, Q8_0])
def test_every_type_becomes_the_float_that_it_stands_for(tmp_path: Path, kind: TensorType) -> None:
    blocks = random_blocks(kind, 40, 64)
    tensors = replaced(llama_tensors(), Tensor("token_embd.weight", (40, 64), blocks.tobytes(), kind))
    path = GgufFile(llama_metadata(), tensors).write(tmp_path / "m.gguf")
    weights = GgufWeights(read_parts([path]), in_float=True)
    matrix = weights.matrix("model.embed_tokens.weight")
    assert isinstance(matrix, FloatMatrix)
    assert np.array_equal(matrix.values, QUANTIZATIONS[kind].read(blocks).values().reshape(40, 64))
    assert weights.losses == {}


def test_a_reference_is_written_as_a_deployment(tmp_path: Path) -> None:
    file, said = gguf(tmp_path / "m.gguf"), list[str]()
    (tmp_path / "model.onnx").write_bytes(b"a graph beside the file is passed over")
    for number, source in enumerate((file, tmp_path)):
        into = tmp_path / f"into{number}"
        original = Original(OriginalKind.GGUF, str(source))
        folder = write_float_reference(original, into, Settings(), said.append)
        card = json.loads((folder / "model.json").read_text())
        assert card["name"] == folder.name == "reference"
        assert "float32 weights" in card["description"]
        assert not any("--no-open" in sentence for sentence in said)
        assert any(sentence.startswith("Every matrix is in float32") for sentence in said)


def test_a_folder_of_several_models_or_none_is_refused(tmp_path: Path) -> None:
    gguf(tmp_path / "a-Q4_0.gguf")
    gguf(tmp_path / "b-Q8_0.gguf")
    original = Original(OriginalKind.GGUF, str(tmp_path))
    with pytest.raises(ImporterError, match=r"has 2 GGUF models: a-Q4_0\.gguf, b-Q8_0\.gguf\. Name one"):
        write_float_reference(original, tmp_path / "into", Settings(), lambda _: None)
    (tmp_path / "empty").mkdir()
    original = Original(OriginalKind.GGUF, str(tmp_path / "empty"))
    with pytest.raises(ImporterError, match=r"There is no GGUF file in .*empty"):
        write_float_reference(original, tmp_path / "into", Settings(), lambda _: None)
