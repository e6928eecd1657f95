"""A raw folder among the deployments becomes a deployment where it is, and its files stay as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference.__main__ import main
from inference.importer.findings import ImporterError
from tests.importer.models import added, card, decoder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_raw_folder_among_the_deployments_is_added_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = decoder(tmp_path / "models", "my-folder")
    before = contents(source)
    monkeypatch.setenv("INFERENCE_MODELS", f"{tmp_path / 'first'},{tmp_path / 'models'}")
    (tmp_path / "first").mkdir()
    assert main(["models", "add", str(source)]) == 0
    assert "The folder is a deployment now, where it is" in capsys.readouterr().out
    after = contents(source)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() >= {"model.json"}
    assert card(source)["name"] == "my-folder"
    assert not list((tmp_path / "models").glob(".*adding"))
    assert main(["models", "add", str(source)]) == 1
    assert "is a deployment already" in capsys.readouterr().err


def test_changed_descriptions_get_a_name_of_their_own(tmp_path: Path) -> None:
    source = decoder(tmp_path)
    (source / "generation_config.json").write_text('{"eos_token_id": 1, "top_k": 3}')
    made = added(source, tmp_path)
    assert json.loads((source / "generation_config.json").read_text()) == {"eos_token_id": 1, "top_k": 3}
    assert card(made)["files"]["generation_config"] == "generation_config.deployment.json"
    written = json.loads((made / "generation_config.deployment.json").read_text())
    assert len(written["eos_token_id"]) > 1
    assert main(["models", "list"]) in (0, 1)


def test_another_file_of_a_fixed_name_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    source = decoder(tmp_path)
    (source / "onnx").mkdir()
    for name in ("model.onnx", "tokenizer.json"):
        (source / name).rename(source / "onnx" / name)
    (source / "tokenizer.json").write_text("{}")
    before = contents(source)
    with pytest.raises(ImporterError, match=r"is another file than the tokenizer\.json"):
        added(source, tmp_path)
    assert contents(source) == before


def test_another_name_makes_a_folder_of_its_own(tmp_path: Path) -> None:
    source = decoder(tmp_path)
    assert added(source, tmp_path, name="other") == tmp_path / "other"
    assert not (source / "model.json").exists()
