"""Checkpoints in safetensors: types, shards, and headers that do not fit their file."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from inference.importer.findings import ImporterError
from inference.importer.graph.safetensors import Checkpoint

VALUES = np.array([[0.5, -1.25], [3, 1e-3]], np.float32)


def raw(header: Any, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(kind: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


def checkpoint(folder: Path, content: bytes) -> Checkpoint:
    (folder / "model.safetensors").write_bytes(content)
    return Checkpoint(folder)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_become_float32(tmp_path: Path, kind: Any) -> None:
    save_file({"a": VALUES.astype(kind), "b": VALUES[0].astype(kind)}, tmp_path / "model.safetensors")
    found = Checkpoint(tmp_path)
    assert sorted(found.names) == ["a", "b"]
    assert found.matrix("a").values.dtype == np.float32
    assert found.matrix("a").values.tolist() == VALUES.astype(kind).astype(np.float32).tolist()
    assert found.vector("b").tolist() == VALUES[0].tolist()


def test_bfloat16_is_the_upper_half_of_a_float32(tmp_path: Path) -> None:
    data = (VALUES.view(np.uint32) >> 16).astype("<u2").tobytes()
    found = checkpoint(tmp_path, raw({"a": entry("BF16", [2, 2], 0, 8)}, data))
    assert found.matrix("a").values.tolist() == [[0.5, -1.25], [3.0, 0.00099945068359375]]


def test_shards_are_found_by_their_index(tmp_path: Path) -> None:
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    for name, file in names.items():
        save_file({name: VALUES}, tmp_path / file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert sorted(Checkpoint(tmp_path).names) == ["a", "b"]
    (tmp_path / names["b"]).unlink()
    with pytest.raises(ImporterError, match=r"names model-00002-of-00002\.safetensors, which is missing"):
        Checkpoint(tmp_path)
    save_file({"c": VALUES}, tmp_path / names["b"])
    with pytest.raises(ImporterError, match=r"names the tensor b in .*, which lacks it"):
        Checkpoint(tmp_path)
    save_file({"a": VALUES, "b": VALUES}, tmp_path / names["b"])
    with pytest.raises(ImporterError, match="tensor a is in several files"):
        Checkpoint(tmp_path)


@pytest.mark.parametrize("map_", [None, {}, {"a": "../x"}, {"a": 1}, {"a": "c:\\x"}])
def test_an_index_without_files_beside_it_is_refused(tmp_path: Path, map_: Any) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": map_}))
    with pytest.raises(ImporterError, match="no weight_map of tensor names to files"):
        Checkpoint(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImporterError, match=r"neither model\.safetensors nor"):
        Checkpoint(tmp_path)


GOOD = entry("F32", [2, 2], 0, 16)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no whole safetensors file"),
        (b"\xff" * 40, "no whole safetensors file"),
        (raw(b"{", b""), "header that is not JSON"),
        (raw(b"\xff\xfe", b""), "header that is not JSON"),
        (raw(b"[" * 5000, b""), "header that is not JSON"),
        (raw([], b""), "not an object"),
        (raw({"a": GOOD}, b"\0" * 15), "ends before its tensor a"),
        (raw({"a": GOOD}, b"\0" * 17), "tensors end at"),
        (raw({"a": GOOD, "b": GOOD}, b"\0" * 16), "tensor b at byte"),
        (raw({"a": entry("F32", [2, 3], 0, 16)}, b"\0" * 16), r"\[2, 3\] in F32 has 24"),
        (raw({"a": entry("F32", [10**30], 0, 16)}, b"\0" * 16), "16 bytes for the tensor a"),
        (raw({"a": entry("F32", [-2, -2], 0, 16)}, b"\0" * 16), "without type, shape or place"),
        (raw({"a": entry("F32", [1] * 9, 0, 4)}, b"\0" * 4), "without type, shape or place"),
        (raw({"a": {}}, b""), "without type, shape or place"),
        (raw({"a": 5}, b""), "without type, shape or place"),
        (raw({"a": entry("Q4", [2, 2], 0, 16)}, b"\0" * 16), "as Q4, which is no known type"),
        (
            raw(b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{}}', b""),
            "states the tensor a twice",
        ),
    ],
)
def test_a_header_that_does_not_fit_its_file_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(ImporterError, match=problem):
        checkpoint(tmp_path, content)


def test_tensors_that_are_no_weights_are_refused_when_they_are_read(tmp_path: Path) -> None:
    found = checkpoint(tmp_path, raw({"a": entry("I32", [2, 2], 0, 16)}, bytes(16)))
    with pytest.raises(ImporterError, match=r"is I32\. Weights are read in F32, F16, BF16, F64"):
        found.matrix("a")
    with pytest.raises(ImporterError, match=r"shape \[2, 2\], not 1 dimensions"):
        found.vector("a")
    infinite = np.array([1, np.inf], np.float32).tobytes()
    found = checkpoint(tmp_path, raw({"a": entry("F32", [2], 0, 8)}, infinite))
    with pytest.raises(ImporterError, match="numbers that are not finite"):
        found.vector("a")


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    whole = raw({"a": GOOD, "b": entry("F16", [3], 16, 22), "__metadata__": {"format": "pt"}}, bytes(22))
    drawn = random.Random(0)
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(drawn.randint(1, 3)):
            content[drawn.randrange(len(content))] = drawn.randrange(256)
        try:
            found = checkpoint(tmp_path, bytes(content[: drawn.choice([len(content), drawn.randrange(60)])]))
            assert all(found.matrix(name) is not None for name in found.names if name == "a")
        except ImporterError:
            continue
