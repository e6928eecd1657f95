"""Session options, the count of processors, and the refusal of bad files."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from inference.backends.session import CUDA, open_session, providers, require, session_options
from inference.cards.card import CardError
from inference.settings import Settings
from inference.settings.machine import available_memory, available_processors, has_dedicated_processors


def test_options_come_from_one_place() -> None:
    options = session_options(Settings(threads=3))
    assert options.intra_op_num_threads == 3
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
    assert options.get_session_config_entry("session.prepack.enable_parallel") == "1"
    assert options.log_severity_level == 3
    assert session_options(Settings()).intra_op_num_threads == available_processors()


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
def test_quota_of_a_container_limits_the_processors(
    tmp_path: Path, files: dict[str, str], expected: int
) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert available_processors(tmp_path) == expected


@pytest.mark.usefixtures("four_processors")
@pytest.mark.parametrize(
    ("quota", "expected"), [("max", True), ("400000", True), ("350000", False), ("50000", False)]
)
def test_threads_spin_on_processors_of_their_own(tmp_path: Path, quota: str, expected: bool) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota} 100000\n")
    assert has_dedicated_processors(tmp_path) == expected


@pytest.mark.parametrize(("spinning", "entry"), [("on", None), ("off", "0")])
def test_spinning_is_a_setting(spinning: str, entry: str | None) -> None:
    options = session_options(Settings(spinning=spinning))
    name = "session.intra_op.allow_spinning"
    if entry is None:
        with pytest.raises(RuntimeError):
            options.get_session_config_entry(name)
    else:
        assert options.get_session_config_entry(name) == entry


def test_threads_do_not_spin_on_one_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    assert not has_dedicated_processors(tmp_path)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"memory.max": "max\n"}, None),
        ({"memory.max": "1048576\n"}, 1048576),
        ({"memory/memory.limit_in_bytes": "2097152\n"}, 2097152),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
    ],
)
def test_limit_of_a_container_is_the_memory(
    tmp_path: Path, files: dict[str, str], expected: int | None
) -> None:
    (tmp_path / "memory").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert available_memory(tmp_path) == (expected or available_memory(tmp_path / "nowhere"))


@pytest.fixture
def negation(tmp_path: Path) -> Path:
    """The file of a graph that negates its input."""
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "negate", [value], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_model_opens(negation: Path) -> None:
    session = open_session(negation, Settings(threads=1))
    assert [node.name for node in session.get_inputs()] == ["x"]
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_provider_that_onnxruntime_lacks_is_named_with_those_it_has() -> None:
    with pytest.raises(CardError, match=r"no QuantumExecutionProvider here, but .*CPUExecutionProvider"):
        providers(Settings(providers=("QuantumExecutionProvider", "CPUExecutionProvider")))


def test_provider_that_does_not_start_is_an_error(negation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime itself continues with the other providers."""
    loaded: list[bool] = []
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"])
    monkeypatch.setattr(ort, "preload_dlls", lambda: loaded.append(True), raising=False)
    cpu = ort.InferenceSession(negation, providers=["CPUExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", lambda *_, **__: cpu)
    with pytest.raises(CardError, match=r"INFERENCE_PROVIDERS: CUDAExecutionProvider could not be started"):
        open_session(negation, Settings(providers=(CUDA, "CPUExecutionProvider")))
    assert loaded == [True]


@pytest.mark.parametrize("content", [b"", b"this is no protobuf", b"\x08\x0a\x12\x00"])
def test_file_that_is_no_model_is_named_with_its_role(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(CardError, match=r"files\.vision_model: 'broken\.onnx' is no ONNX model"):
        open_session(path, Settings(), role="vision_model")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"files\.model: 'gone\.onnx'"):
        open_session(tmp_path / "gone.onnx", Settings())


def test_missing_tensors_are_named_with_those_of_the_graph() -> None:
    require(("a",), ["a", "b"])
    with pytest.raises(CardError, match=r"files\.model: the graph has no output y, z; it has a, b"):
        require(("a", "y", "z"), ["a", "b"], kind="output")
