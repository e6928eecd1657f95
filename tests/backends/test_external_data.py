"""Files of external data, by every place that a graph names and under every name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from inference.backends.external_data import DataOutside, data_files, data_paths, files_of, linked_out
from inference.backends.onnx_header import read_header
from tests.importer.external import PLACES, SIZE, VALUES, in_branch, in_initializer, save

NAMES = (
    "weights.bin",
    "./weights.bin",
    "b5f0d1de-93a1-4e0a-8b39-1d3e5c1c2f8a",
    "onnx::MatMul_7",
    "a/b/c",
    ".w",
)


@pytest.mark.parametrize("write", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("place", NAMES)
def test_data_is_found_wherever_it_is_named(
    tmp_path: Path, place: str, write: Callable[[str], onnx.ModelProto]
) -> None:
    path = save(write(place), tmp_path / "model.onnx", place)
    assert data_files(path) == [tmp_path / place]
    assert files_of(path) == [path, tmp_path / place]


@pytest.mark.parametrize("name", sorted(PLACES.keys() - {"sparse"}))
def test_the_runtime_opens_what_is_found(tmp_path: Path, name: str) -> None:
    place = "below/5f2c"
    path = save(PLACES[name](place), tmp_path / "model.onnx", place)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(None, {"x": np.zeros(SIZE, np.float32)})[0]
    np.testing.assert_array_equal(found, VALUES)


@pytest.mark.parametrize(
    "place", ["../secret", "/etc/secret", "a/../b", "..\\secret", "\\secret", "", ".", "a/.."]
)
def test_data_outside_of_the_folder_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(DataOutside, match=r"^model\.onnx keeps weights in .+, outside its own folder$"):
        data_paths("model.onnx", [place])
    path = save(in_initializer(place), tmp_path / "model.onnx")
    assert files_of(path) == [path]


def test_a_link_out_of_the_folder_is_named_unless_the_graph_is_one(tmp_path: Path) -> None:
    blobs, folder = tmp_path / "blobs", tmp_path / "folder"
    save(in_initializer("w"), blobs / "graph", "w")
    folder.mkdir()
    (folder / "w").symlink_to(blobs / "w")
    save(in_initializer("w"), folder / "copied.onnx")
    (folder / "linked.onnx").symlink_to(blobs / "graph")
    assert list(linked_out(folder / "copied.onnx", ["w", "missing"])) == ["w"]
    assert list(linked_out(folder / "linked.onnx", ["w"])) == []
    (tmp_path / "other").symlink_to(blobs)
    assert list(linked_out(tmp_path / "other" / "graph", ["w"])) == []


def test_a_tensor_with_its_numbers_in_the_graph_names_no_file(tmp_path: Path) -> None:
    model = in_initializer("w")
    model.graph.initializer[0].data_location = onnx.TensorProto.DEFAULT
    assert data_files(save(model, tmp_path / "model.onnx")) == []


def test_branches_of_any_depth_are_read(tmp_path: Path) -> None:
    path = save(in_branch("w", depth=8), tmp_path / "model.onnx")
    assert read_header(path).locations == {"w"}
    assert read_header(path).operators == {"If", "Constant", "Add"}


def test_a_file_that_is_no_graph_is_alone(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    assert files_of(tmp_path / "model.onnx") == [tmp_path / "model.onnx"]
