"""Session options, the count of processors, and how a bad file is reported."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from inference.backends.onnx_session import open_session, processors, require, session_options
from inference.card import CardError
from inference.settings import Settings


def test_options_come_from_one_place() -> None:
    options = session_options(Settings(threads=3))
    assert options.intra_op_num_threads == 3
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
    assert options.log_severity_level == 3
    assert session_options(Settings()).intra_op_num_threads == processors()


@pytest.fixture
def four_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)


@pytest.mark.usefixtures("four_processors")
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 4),
        ({"cpu.max": "max 100000\n"}, 4),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"cpu.max": "900000 100000\n"}, 4),
        ({"cpu.max": "nonsense"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
    ],
)
def test_a_containers_quota_limits_the_processors(
    tmp_path: Path, files: dict[str, str], expected: int
) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert processors(tmp_path) == expected


def test_a_model_opens(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "negate", [value], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx", Settings(threads=1))
    assert [node.name for node in session.get_inputs()] == ["x"]


@pytest.mark.parametrize("content", [b"", b"this is no protobuf", b"\x08\x0a\x12\x00"])
def test_a_file_that_is_no_model_is_named_with_its_role(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(CardError, match=r"files\.vision_model: 'broken\.onnx' is no ONNX model"):
        open_session(path, Settings(), role="vision_model")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"files\.model: 'gone\.onnx'"):
        open_session(tmp_path / "gone.onnx", Settings())


def test_missing_tensors_are_named_beside_those_there_are() -> None:
    require(("a",), ["a", "b"])
    with pytest.raises(CardError, match=r"files\.model: the graph has no output y, z; it has a, b"):
        require(("a", "y", "z"), ["a", "b"], kind="output")
