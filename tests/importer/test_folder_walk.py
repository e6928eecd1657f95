"""Folders of models: links are followed, loops end, and the hub's cache is known by its names."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.importer import folder_walk
from inference.importer.findings import ImporterError
from inference.importer.folder_walk import cached_repository, files_below, snapshot_of
from inference.importer.sources import FolderFiles, FolderSource, name_of, parse
from tests.importer.models import added, decoder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_linked_folders_are_walked_once_and_loops_end(tmp_path: Path) -> None:
    root = tmp_path / "model"
    write(root / "config.json")
    write(tmp_path / "exports" / "model.onnx", "xyz")
    write(root / ".git" / "config")
    (root / "onnx").symlink_to(tmp_path / "exports")
    (root / "again").symlink_to(root)
    (tmp_path / "exports" / "up").symlink_to(root)
    (root / "broken").symlink_to("nothing")
    (root / "self").symlink_to("self")
    assert dict(files_below(root)) == {"config.json": 1, "onnx/model.onnx": 3}


def test_names_that_are_no_text_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "\udcff.onnx").touch()
    write(tmp_path / "a.onnx")
    assert dict(files_below(tmp_path)) == {"a.onnx": 1}


def test_a_disk_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_walk, "MAX_FILES", 1)
    write(tmp_path / "a")
    write(tmp_path / "b")
    with pytest.raises(ImporterError, match="Name the folder of the model alone"):
        FolderFiles.of(tmp_path)


def test_a_snapshot_of_the_hub_has_the_name_of_its_repository(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--acme--tiny-v2" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (tmp_path / "models--acme--tiny-v2" / "blobs").mkdir()
    for source in (parse(str(snapshot)), parse(str(snapshot.parents[1]))):
        assert source == FolderSource(snapshot)
        assert name_of(source) == "tiny-v2"
    files = FolderFiles.of(snapshot)
    assert (files.provider, files.origin) == ("acme", "hf:acme/tiny-v2@0123456789ab")
    assert cached_repository(tmp_path) is None
    assert snapshot_of(tmp_path) == tmp_path


def test_a_linked_folder_of_graphs_is_added(tmp_path: Path) -> None:
    source = decoder(tmp_path)
    (tmp_path / "exports").mkdir()
    (source / "model.onnx").rename(tmp_path / "exports" / "model.onnx")
    (source / "onnx").symlink_to(tmp_path / "exports")
    assert (added(source, tmp_path / "deployments", opens=False) / "model.json").is_file()
