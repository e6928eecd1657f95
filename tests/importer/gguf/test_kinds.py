"""GGUF files that are no model by themselves are named as what they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from inference.importer.add import AddOptions
from inference.importer.findings import ImporterError
from inference.importer.gguf.intake import graphs_of
from inference.importer.gguf.kinds import require_model
from inference.importer.gguf.parts import read_parts
from inference.importer.sources import FolderFiles
from tests.importer.gguf.gguf_files import GgufFile, Tensor, llama_metadata, llama_tensors

ONE = [Tensor.of("blk.0.attn_q.weight.lora_a", [[1.0]]), Tensor.of("blk.0.attn_q.weight.lora_b", [[1.0]])]
SUMS = [Tensor.of("blk.0.attn_q.weight.in_sum2", [[1.0]]), Tensor.of("blk.0.attn_q.weight.counts", [[1.0]])]
WORDS = {"general.architecture": "llama", "tokenizer.ggml.tokens": ["a"]}


@pytest.mark.parametrize(
    ("metadata", "tensors", "kind"),
    [
        (
            {"general.architecture": "llama", "general.type": "adapter"},
            ONE,
            "LoRA adapter",
        ),
        ({"general.architecture": "llama"}, ONE, "LoRA adapter"),
        ({"general.architecture": "clip"}, [Tensor.of("v.patch_embd.weight", [[1.0]])], "projector"),
        ({"general.type": "mmproj", "general.architecture": "clip"}, [], "projector"),
        ({"general.type": "imatrix"}, SUMS, "importance matrix"),
        ({}, SUMS, "importance matrix"),
        (WORDS, [], "vocabulary without weights"),
    ],
)
def test_a_file_that_is_no_model_is_named(
    metadata: dict[str, Any], tensors: Sequence[Tensor], kind: str, tmp_path: Path
) -> None:
    GgufFile(metadata, tensors).write(tmp_path / "part.gguf")
    with pytest.raises(ImporterError, match=rf"^part\.gguf is an? .*{kind}.*[Aa]dd the "):
        require_model(read_parts([tmp_path / "part.gguf"]))


def test_the_only_file_of_a_folder_is_named_though_no_name_is_a_models(tmp_path: Path) -> None:
    GgufFile({"general.architecture": "clip"}, []).write(tmp_path / "mmproj-tiny.gguf")
    files, options = FolderFiles.of(tmp_path), AddOptions("tiny", tmp_path / "into")
    with pytest.raises(ImporterError, match="projector"), graphs_of(files, options, lambda _: None):
        pass


def test_a_model_passes(tmp_path: Path) -> None:
    require_model(read_parts([GgufFile(llama_metadata(), llama_tensors()).write(tmp_path / "m.gguf")]))
