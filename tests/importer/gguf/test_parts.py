"""A model in several files: the names of the parts, and what does not belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference.importer.findings import ImporterError
from inference.importer.gguf.parts import parts_of, read_parts
from tests.importer.gguf.gguf_files import Field, GgufFile, Tensor


def part(folder: Path, index: int, tensors: list[Tensor], **metadata: Any) -> Path:
    split = {
        "split.no": Field(2, "H", index),
        "split.count": Field(2, "H", 2),
        "split.tensors.count": Field(5, "i", 2),
    }
    return GgufFile({**split, **metadata}, tensors).write(folder / f"m-{index + 1:05}-of-00002.gguf")


A, B = Tensor.of("a", [1.0]), Tensor.of("b", [2.0])


def test_the_parts_of_a_model_have_numbered_names() -> None:
    assert parts_of("deep/m-00002-of-00003.gguf") == (
        "deep/m-00001-of-00003.gguf",
        "deep/m-00002-of-00003.gguf",
        "deep/m-00003-of-00003.gguf",
    )


@pytest.mark.parametrize(
    "name", ["m.gguf", "m-00003-of-00002.gguf", "m-00000-of-00002.gguf", "m-1-of-2.gguf"]
)
def test_a_file_without_such_a_name_is_the_only_part(name: str) -> None:
    assert parts_of(name) == (name,)


def test_parts_are_read_as_one_header_with_the_first_s_metadata(tmp_path: Path) -> None:
    paths = [part(tmp_path, 0, [A], name="first"), part(tmp_path, 1, [B])]
    header = read_parts(paths)
    assert header.text("name") == "first"
    assert {name: tensor.path for name, tensor in header.tensors.items()} == {"a": paths[0], "b": paths[1]}


def test_parts_in_another_order_are_refused(tmp_path: Path) -> None:
    paths = [part(tmp_path, 0, [A]), part(tmp_path, 1, [B])]
    with pytest.raises(ImporterError, match="is part 2 of 2 of a model by its metadata, and part 1 of 2"):
        read_parts(paths[::-1])


def test_a_part_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImporterError, match="is part 1 of 2 of a model by its metadata, and part 1 of 1"):
        read_parts([part(tmp_path, 0, [A])])


def test_a_tensor_in_two_parts_is_refused(tmp_path: Path) -> None:
    paths = [part(tmp_path, 0, [A]), part(tmp_path, 1, [A])]
    with pytest.raises(ImporterError, match=r"m-00001-of-00002.gguf and m-00002-of-00002.gguf both have a"):
        read_parts(paths)


def test_fewer_tensors_than_stated_are_refused(tmp_path: Path) -> None:
    paths = [part(tmp_path, 0, [A]), part(tmp_path, 1, [])]
    with pytest.raises(ImporterError, match="states 2 tensors, and its parts have 1"):
        read_parts(paths)
