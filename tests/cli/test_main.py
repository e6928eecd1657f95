"""The command line: its commands, and the modules that each imports."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from inference.__main__ import COMMANDS, main
from inference.settings import PROJECT

HELP = """
import json, sys
from inference.__main__ import main
try:
    main(json.loads(sys.argv[1]))
except SystemExit as end:
    assert not end.code
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
HEAVY = {
    "onnxruntime",
    "numpy",
    "tokenizers",
    "PIL",
    "httpx",
    "pydantic",
    "orjson",
    "uvicorn",
    "azure.functions",
}
ROOMS = {"importer", "conformance", "hosts", "service", "pipeline", "registry", "backends", "cards", "api"}


def modules_of_help(*words: str) -> set[str]:
    """Return the modules that a fresh interpreter imports to print the help of a command."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HELP, json.dumps([*words, "--help"])],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: python -m inference")
    return set(json.loads(done.stderr))


def test_the_help_imports_no_command() -> None:
    modules = modules_of_help()
    assert {name for name in modules if name.startswith("inference.cli.")} == {"inference.cli.parser"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_imports_no_other_command(command: str) -> None:
    own = {f"inference.cli.{name.replace('-', '_')}" for name in COMMANDS}
    assert own & modules_of_help(command) == {f"inference.cli.{command.replace('-', '_')}"}


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "documents"])
def test_the_help_of_a_command_imports_nothing_heavy(command: str) -> None:
    modules = modules_of_help(command)
    assert not modules & HEAVY
    assert not modules & {f"inference.{room}" for room in ROOMS}


def test_an_unknown_command_is_refused_with_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["server"])
    assert refused.value.code == 2
    errors = capsys.readouterr().err
    assert all(repr(name) in errors for name in COMMANDS)


def test_an_invalid_setting_is_a_sentence_and_the_exit_code_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INFERENCE_SLOTS", "many")
    assert main(["models", "list"]) == 1
    assert capsys.readouterr().err == ("INFERENCE_SLOTS is 'many': expected a whole number of at least 1\n")
