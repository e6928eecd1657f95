"""Git LFS pointers: named as such wherever they come from, with the command that fetches the content."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from inference.importer.add import AddOptions
from inference.importer.export.convert import ConvertOptions, convert
from inference.importer.findings import ImporterError
from inference.importer.lfs import pointer_size, require_contents
from inference.importer.sources import FolderSource
from inference.settings import Settings
from tests.importer.models import added, decoder, write_external
from tests.support.decoders import write_json

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 2500000\n"


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (POINTER, 2_500_000),
        (b"version https://hawser.github.com/spec/v1\nsize 7\n", 7),
        (b"version https://git-lfs.github.com/spec/v1\n", 0),
        (b"", None),
        (POINTER + b"x" * 1024, None),
    ],
)
def test_a_pointer_is_known_by_its_first_line(tmp_path: Path, content: bytes, size: int | None) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert pointer_size(path) == size


def test_several_pointers_are_one_sentence(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("a", "b")}
    for path in files.values():
        path.write_bytes(POINTER)
    with pytest.raises(
        ImporterError, match=r"^a, b are Git LFS pointers, not the content of 5\.0 MB itself\. Do"
    ):
        require_contents(files, "Do it.")


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data", "tokenizer.json", "config.json"])
def test_a_pointer_in_a_folder_is_refused_with_the_command(tmp_path: Path, name: str) -> None:
    source = decoder(tmp_path)
    write_external(onnx.load(str(source / "model.onnx")), source / "model.onnx", "model.onnx.data")
    (source / name).write_bytes(POINTER)
    with pytest.raises(ImporterError, match=rf"^{name} is a Git LFS pointer.* git -C \S+tiny lfs pull"):
        added(source, tmp_path / "deployments")


def test_pointers_in_place_of_weights_are_refused_by_add_and_convert(tmp_path: Path) -> None:
    source = tmp_path / "checkpoint"
    source.mkdir()
    write_json(source / "config.json", {"architectures": ["LlamaForCausalLM"]})
    (source / "model.safetensors").write_bytes(POINTER)
    with pytest.raises(ImporterError, match="is a Git LFS pointer"):
        added(source, tmp_path / "deployments")
    options = AddOptions("x", tmp_path / "deployments")
    with pytest.raises(ImporterError, match="is a Git LFS pointer"):
        convert(FolderSource(source), ConvertOptions(), options, Settings(models=()), lambda _: None)
