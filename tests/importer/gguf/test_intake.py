"""GGUF files of every source become a deployment's files, or are refused before anything is added."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from inference.importer.add import AddOptions
from inference.importer.findings import ImporterError
from inference.importer.gguf import intake, side_files
from inference.importer.gguf.header import GgufHeader
from inference.importer.graph import checkpoint_graph
from inference.importer.plan import PlanOptions
from inference.importer.sources import FileSource, FolderFiles, FolderSource, name_of, parse
from tests.importer.gguf.gguf_files import Field, GgufFile, llama_metadata, llama_tensors


@dataclass
class Written:
    """Stand-ins for the writer of graphs and the reader of side files, and what they were given."""

    names: list[str] = field(default_factory=list)
    config: Any = None

    def side_files(self, header: GgufHeader) -> dict[str, bytes]:
        return {"config.json": b'{"sizes": 1}', "1_Pooling/config.json": b"{}"}

    def write_graph(self, config: Any, weights: Any, target: Path, *, progress: Any) -> None:
        self.config, self.names = config, sorted(weights.names)
        target.write_bytes(b"graph")
        target.with_name("model.onnx.data").write_bytes(b"data")
        progress("Layer 1 of 1 is written.")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    stand_in = Written()
    monkeypatch.setattr(side_files, "side_files", stand_in.side_files)
    monkeypatch.setattr(checkpoint_graph, "write_graph", stand_in.write_graph)
    return stand_in


def options(tmp_path: Path, variant: str | None = None, *, int8: bool = False) -> AddOptions:
    return AddOptions("tiny", tmp_path / "into", PlanOptions(variant), int8=int8)


def model(path: Path, **changes: Any) -> Path:
    return GgufFile(llama_metadata(**changes), llama_tensors()).write(path)


def test_a_file_becomes_a_graph_with_its_side_files(tmp_path: Path, written: Written) -> None:
    model(tmp_path / "m-Q4_0.gguf", **{"general.organization": "maker"})
    files, said = FolderFiles.of_names(tmp_path, ["m-Q4_0.gguf"]), list[str]()
    with intake.graphs_of(files, options(tmp_path, "Q4_0", int8=True), said.append) as (found, changed):
        assert sorted(found.listing) == [
            "1_Pooling/config.json",
            "config.json",
            "model.onnx",
            "model.onnx.data",
        ]
        assert (found.provider, found.origin) == ("maker", f"m-Q4_0.gguf of the folder {tmp_path.name}")
        assert (changed.plan_options.variant, changed.int8) == (None, False)
        assert written.config == {"sizes": 1}
        assert "model.layers.0.self_attn.q_proj.weight" in written.names
    assert list((tmp_path / "into").iterdir()) == []
    assert said[:2] == [
        "The GGUF file is m-Q4_0.gguf (0.1 MB).",
        "The file is m-Q4_0.gguf, of the architecture llama.",
    ]
    assert "Layer 1 of 1 is written." in said


def test_a_source_with_a_graph_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"graph")
    model(tmp_path / "m.gguf")
    files, chosen = FolderFiles.of(tmp_path), options(tmp_path)
    with intake.graphs_of(files, chosen, lambda _: None) as (found, changed):
        assert found is files
        assert changed is chosen


def test_a_bad_file_leaves_nothing_behind(tmp_path: Path, written: Written) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF\2\0\0\0")
    files = FolderFiles.of_names(tmp_path, ["m.gguf"])
    with (
        pytest.raises(ImporterError, match="GGUF version 2"),
        intake.graphs_of(files, options(tmp_path), lambda _: None),
    ):
        pass
    assert not (tmp_path / "into").exists()


def test_a_file_on_this_machine_is_a_source_with_its_own_name(tmp_path: Path) -> None:
    path = model(tmp_path / "m-Q4_0-00002-of-00003.gguf")
    source = parse(str(path))
    assert source == FileSource(path)
    assert name_of(source) == "m-Q4_0"
    assert isinstance(parse(str(tmp_path)), FolderSource)


def test_any_part_stands_for_all(tmp_path: Path, written: Written) -> None:
    halves = llama_tensors()[:4], llama_tensors()[4:]
    for index, tensors in enumerate(halves):
        split = {"split.no": Field(2, "H", index), "split.count": Field(2, "H", 2)}
        metadata = {**split, **(llama_metadata() if index == 0 else {})}
        GgufFile(metadata, tensors).write(tmp_path / f"m-{index + 1:05}-of-00002.gguf")
    files = intake_files(tmp_path / "m-00002-of-00002.gguf")
    with intake.graphs_of(files, options(tmp_path), lambda _: None):
        assert len(written.names) == 11


def intake_files(path: Path) -> FolderFiles:
    from inference.importer.add import files_of_source
    from inference.settings import Settings

    files = files_of_source(FileSource(path), path.parent, Settings(), lambda _: None)
    assert isinstance(files, FolderFiles)
    return files
