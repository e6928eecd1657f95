"""Prepared graphs: the same numbers, never half a graph, and deleted when they do not open."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from inference.backends import prepared_graphs
from inference.backends.session import open_session
from inference.settings import PROJECT, Settings
from tests.support.decoders import SHAPE
from tools.graphs.decoder_graph import decoder_graph, random_weights


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A quantized graph with its weights beside it, which is prepared however small it is."""
    monkeypatch.setattr(prepared_graphs, "MIN_BYTES", 1)
    path = tmp_path / "model.onnx"
    model = decoder_graph(SHAPE, random_weights(SHAPE, 0), bits=8)
    onnx.save(model, path, save_as_external_data=True, location="model.onnx.data")
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(prepack=True, cache=tmp_path / "cache", threads=1)


def logits(session: ort.InferenceSession) -> np.ndarray:
    past = np.zeros((1, SHAPE.kv_heads, 0, SHAPE.head_dim), np.float32)
    feeds = {name.name: past for name in session.get_inputs() if name.name.startswith("past")}
    ids, mask = np.array([[5, 6, 7]]), np.ones((1, 3), np.int64)
    found: np.ndarray = session.run(["logits"], {"input_ids": ids, "attention_mask": mask, **feeds})[0]
    return found


def test_prepared_graph_computes_the_same_numbers(graph: Path, settings: Settings) -> None:
    expected = logits(open_session(graph, Settings(threads=1)))

    assert prepared_graphs.prepare(graph, settings)
    found = prepared_graphs.find(graph, settings)

    assert found is not None
    np.testing.assert_array_equal(logits(open_session(graph, settings)), expected)
    assert not [path for path in found.parent.parent.iterdir() if path.name.startswith(".")]


def test_opening_a_graph_prepares_it_for_the_next_start(
    graph: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[Path] = []
    monkeypatch.setattr(prepared_graphs, "prepare", lambda path, _: prepared.append(path))
    monkeypatch.setattr(prepared_graphs, "Thread", Now)
    open_session(graph, settings)
    open_session(graph, Settings(threads=1))
    assert prepared == [graph]


class Now:
    """A thread that runs at once."""

    def __init__(self, *, target: object, args: tuple[object, ...], name: str, daemon: bool) -> None:
        self.start = lambda: target(*args)  # type: ignore[operator]


def test_changed_weights_are_prepared_again(graph: Path, settings: Settings) -> None:
    assert prepared_graphs.prepare(graph, settings)
    (graph.parent / "model.onnx.data").touch()
    assert prepared_graphs.find(graph, settings) is None


def test_other_processor_or_version_is_prepared_for_again(
    graph: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prepared_graphs.prepare(graph, settings)
    with monkeypatch.context() as patch:
        patch.setattr(prepared_graphs, "_processor", lambda: "flags: other")
        assert prepared_graphs.find(graph, settings) is None
    monkeypatch.setattr(ort, "__version__", "0.0")
    assert prepared_graphs.find(graph, settings) is None


def test_prepared_graph_that_does_not_open_is_deleted(graph: Path, settings: Settings) -> None:
    assert prepared_graphs.prepare(graph, settings)
    found = prepared_graphs.find(graph, settings)
    assert found is not None
    found.write_bytes(b"half")

    expected = logits(open_session(graph, Settings(threads=1)))
    np.testing.assert_array_equal(logits(open_session(graph, settings)), expected)
    assert not found.exists()


def test_disk_without_space_prepares_nothing(
    graph: Path, settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared_graphs, "GROWTH", 1e9)
    assert not prepared_graphs.prepare(graph, settings)
    assert "is not prepared for the next start" in caplog.text
    assert prepared_graphs.find(graph, settings) is None


def test_graph_that_cannot_be_opened_is_not_prepared(
    tmp_path: Path, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    assert not prepared_graphs.prepare(tmp_path / "model.onnx", settings)
    assert "Fail" in caplog.text or "fail" in caplog.text
    assert not list((tmp_path / "cache" / "prepared").glob("*/"))


def test_the_process_that_prepares_ends_with_the_one_that_started_it() -> None:
    reading, writing = os.pipe()
    script = (
        "import time; from inference.backends import prepared_graphs as p; from threading import Thread; "
        "Thread(target=p._end_with_parent, daemon=True).start(); time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", script], cwd=PROJECT, stdin=reading)
    os.close(reading)
    os.close(writing)
    assert child.wait(timeout=60) == 1
