"""The `models` commands: output and exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.__main__ import main
from tests.importer.models import decoder
from tests.support.decoders import write_decoder


@pytest.fixture
def into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INFERENCE_MODELS", str(tmp_path / "deployments"))
    return tmp_path / "deployments"


def test_add_list_show_and_remove_a_deployment(
    tmp_path: Path, into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = decoder(tmp_path)
    assert main(["models", "add", str(source), "--name", "my-chat", "--provider", "me"]) == 0
    out = capsys.readouterr().out
    assert "The deployment opens in" in out
    assert "Try it: python -m inference models check my-chat" in out
    assert main(["models", "list"]) == 0
    assert capsys.readouterr().out.split() == [
        "my-chat",
        "chat-completions",
        "/chat/completions",
        "/completions",
    ]
    assert main(["models", "show", "my-chat"]) == 0
    assert '"model_provider_name": "me"' in capsys.readouterr().out
    assert main(["models", "remove", "MY-CHAT", "--yes"]) == 0
    assert not (into / "my-chat").exists()
    assert (source / "model.onnx").is_file()


def test_remove_asks_before_it_deletes(
    into: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_decoder(into)
    for answer in ("n", ""):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        assert main(["models", "remove", "tiny-chat"]) == 1
        assert folder.is_dir()
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert main(["models", "remove", "tiny-chat"]) == 0
    assert not folder.exists()
    assert main(["models", "remove", "tiny-chat"]) == 1
    assert "There is no deployment tiny-chat" in capsys.readouterr().err


def test_a_broken_deployment_can_be_removed(into: Path) -> None:
    folder = write_decoder(into)
    (folder / "model.json").write_text("{")
    assert main(["models", "remove", "tiny-chat", "--yes"]) == 0
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["add", "nowhere"], "There is no folder nowhere"),
        (["add", "hf:x"], "not hf:owner/repo"),
        (["add", "http://127.0.0.1:9/devstoreaccount1"], "expected the name of a container"),
        (["convert", "nowhere"], "There is no folder nowhere"),
        (["convert", "."], "no model.safetensors to convert"),
    ],
)
def test_an_error_is_one_sentence_and_exit_code_1(
    into: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    assert main(["models", *arguments]) == 1
    assert reason in capsys.readouterr().err


def test_into_and_variant_are_honoured(
    tmp_path: Path, into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(decoder(tmp_path))
    other = tmp_path / "other"
    assert main(["models", "add", source, "--into", str(other), "--no-open"]) == 0
    assert "INFERENCE_MODELS does not name" in capsys.readouterr().out
    assert (other / "tiny" / "model.json").is_file()
    assert main(["models", "add", source, "--variant", "q4"]) == 1
    assert "There is no variant q4" in capsys.readouterr().err
    assert main(["models", "add", source, "--into", str(other / "tiny")]) == 1
    assert "is a deployment itself" in capsys.readouterr().err


def test_every_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["models", "add"], ["models", "convert"], ["chat"], ["bench"], ["models", "check"]):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--help"])
        assert ended.value.code == 0
        assert "usage: python -m inference" in capsys.readouterr().out
