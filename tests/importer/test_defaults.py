"""A new deployment changes no answer to requests without a model name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from inference.__main__ import main
from inference.contracts import Route
from inference.importer.deployment_folder import keep_answers, unnamed_answers
from inference.registry.registry import Registry
from inference.settings import Settings
from tests.importer.models import decoder
from tests.support.cards import CHAT, EMBEDDINGS, IMAGES, write_card
from tests.support.decoders import write_decoder

BOTH = {Route.CHAT: "first", Route.COMPLETIONS: "first"}


def test_the_answers_before_a_deployment_are_written_down_when_it_would_change_them(tmp_path: Path) -> None:
    settings = Settings(models=(tmp_path,))
    assert unnamed_answers(settings, tmp_path) == {}
    write_card(tmp_path, CHAT, name="first")
    before = unnamed_answers(settings, tmp_path)
    assert before == BOTH
    write_card(tmp_path, EMBEDDINGS)
    assert keep_answers(before, settings, tmp_path).sentence == ""
    assert not (tmp_path / "defaults.json").exists()
    write_card(tmp_path, CHAT, name="another")
    path = tmp_path / "defaults.json"
    assert keep_answers(before, settings, tmp_path).sentence == (
        "Requests without a model name are answered as before, by first on /chat/completions, first on "
        f"/completions: {path} says so now. `python -m inference models default NAME` chooses another one."
    )
    assert json.loads(path.read_bytes()) == {"chat/completions": "first", "completions": "first"}
    assert unnamed_answers(settings, tmp_path) == {**BOTH, Route.EMBEDDINGS: "tiny-embeddings"}


def test_a_text_tower_keeps_answering_when_a_text_encoder_is_added(tmp_path: Path) -> None:
    settings = Settings(models=(tmp_path,))
    write_card(tmp_path, IMAGES, files={"text_model": "text.onnx"})
    before = unnamed_answers(settings, tmp_path)
    write_card(tmp_path, EMBEDDINGS)
    keep_answers(before, settings, tmp_path)
    assert json.loads((tmp_path / "defaults.json").read_bytes()) == {"embeddings": "tiny-images"}


def test_defaults_of_the_settings_need_not_be_written_down(tmp_path: Path) -> None:
    settings = Settings(models=(tmp_path,), defaults=("first",))
    write_card(tmp_path, CHAT, name="first")
    before = unnamed_answers(settings, tmp_path)
    write_card(tmp_path, CHAT, name="another")
    assert keep_answers(before, settings, tmp_path).sentence == ""


def test_a_folder_that_is_not_served_yet_gets_the_defaults_of_those_that_are(tmp_path: Path) -> None:
    served, new = tmp_path / "served", tmp_path / "new"
    write_card(served, CHAT, name="first")
    new.mkdir()
    settings = Settings(models=(served,))
    before = unnamed_answers(settings, new)
    write_card(new, CHAT, name="another")
    keep_answers(before, settings, new)
    later = Registry(replace(settings, models=(served, new)))
    assert later.choose(Route.CHAT, fixed=None, model=None).name == "first"


def test_the_commands_keep_and_choose_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    into = tmp_path / "deployments"
    monkeypatch.setenv("INFERENCE_MODELS", str(into))
    write_decoder(into, name="first")
    source = str(decoder(tmp_path))
    assert main(["models", "add", source, "--name", "another", "--provider", "me", "--no-open"]) == 0
    assert "Requests without a model name are answered as before, by first" in capsys.readouterr().out
    assert main(["models", "default"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "/chat/completions    first",
        "/completions         first",
    ]
    assert main(["models", "default", "ANOTHER"]) == 0
    assert capsys.readouterr().out.splitlines()[:3] == [
        f"Written: {into / 'defaults.json'}",
        "/chat/completions    another",
        "/completions         another",
    ]
    assert main(["models", "default", "nowhere"]) == 1
    assert capsys.readouterr().err.startswith("Unknown model: nowhere. The deployments are: another, first.")
