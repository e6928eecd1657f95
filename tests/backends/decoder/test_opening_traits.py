"""Stored traits are found for the same graph, machine and cache, and for no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from inference.backends.decoder import opening
from inference.backends.decoder.opening import TraitsCache
from inference.backends.decoder.row_decoder import GraphTraits
from inference.cards.card import load
from inference.contracts import GenerationRequest
from inference.engine.kv_cache import KVCache
from tests.backends.decoder.running import GREEDY, SETTINGS, answer, opened
from tests.engine.history import LAYOUT
from tests.support.decoders import write_decoder

TRAITS = GraphTraits(batches=False, prefill_alignment=64)


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(opening, "MIN_BYTES", 1)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"any")
    return path


def traits_cache_of(graph: Path, rows: int = 4, length: int = 32, threads: int = 1) -> TraitsCache:
    cache = KVCache.allocate(LAYOUT, rows, length)
    return TraitsCache(graph, cache, replace(SETTINGS, cache=graph.parent / "cache", threads=threads))


def test_stored_traits_are_found(graph: Path) -> None:
    assert traits_cache_of(graph).find() is None
    traits_cache_of(graph).store(TRAITS)
    assert traits_cache_of(graph).find() == TRAITS


def test_other_cache_graph_or_threads_have_traits_of_their_own(graph: Path) -> None:
    traits_cache_of(graph).store(TRAITS)
    assert traits_cache_of(graph, rows=1).find() is None
    assert traits_cache_of(graph, length=64).find() is None
    assert traits_cache_of(graph, threads=5).find() is None
    graph.write_bytes(b"another")
    assert traits_cache_of(graph).find() is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"batches": 1}', '{"prefill_alignment": "x"}', '{"strange": true}']
)
def test_file_without_valid_traits_is_ignored(graph: Path, text: str) -> None:
    traits_cache_of(graph).store(TRAITS)
    (file,) = (graph.parent / "cache" / "traits").iterdir()
    file.write_text(text)
    assert traits_cache_of(graph).find() is None


def test_disk_that_refuses_the_file_is_no_failure(graph: Path) -> None:
    (graph.parent / "cache").write_text("no folder")
    traits_cache_of(graph).store(TRAITS)
    assert traits_cache_of(graph).find() is None


async def test_second_start_runs_no_probe_and_generates_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MIN_BYTES", 1)
    settings = replace(SETTINGS, cache=tmp_path / "cache")
    folder = write_decoder(tmp_path)
    assert load(folder).name == "tiny-chat"
    request = GenerationRequest(tuple(range(40, 60)), 12, GREEDY)
    with opened(folder, settings) as model:
        first = await answer(model, request)
    monkeypatch.delattr(opening, "probe_traits")
    with opened(folder, settings) as model:
        assert await answer(model, request) == first
