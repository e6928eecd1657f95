"""Several processes, and killed ones: a deployment appears whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inference.importer.deployment_folder import locked
from inference.importer.findings import ImporterError
from inference.registry.registry import Registry
from inference.settings import PROJECT, Settings
from tests.http.servers import environment
from tests.importer.models import added, decoder

KILLED = """
import os, signal, sys
from inference.importer import add
from inference.__main__ import main
add.publish = lambda folder, target: os.kill(os.getpid(), signal.SIGKILL)
main(sys.argv[1:])
"""
SMALL_FILES = """
import resource, sys
from inference.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
raise SystemExit(main(sys.argv[1:]))
"""


def run(script: str, source: Path, into: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, "models", "add", str(source), "--copy", "--no-open"]
    settings = environment({"INFERENCE_MODELS": str(into)})
    return subprocess.run(command, cwd=PROJECT, env=settings, capture_output=True, text=True, check=False)


def names(into: Path) -> list[str]:
    registry = Registry(Settings(models=(into,)))
    assert registry.broken == []
    return [one.name for one in registry.deployments]


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_a_killed_run_leaves_no_deployment(tmp_path: Path) -> None:
    source, into = decoder(tmp_path), tmp_path / "deployments"
    assert run(KILLED, source, into).returncode == -9
    assert (into / ".tiny.adding" / "model.json").is_file()
    assert names(into) == []
    added(source, into, opens=False)
    assert names(into) == ["tiny"]


@pytest.mark.skipif(os.name == "nt", reason="limits by resource")
def test_a_full_disk_is_reported_with_exit_code_1(tmp_path: Path) -> None:
    source, into = decoder(tmp_path), tmp_path / "deployments"
    ended = run(SMALL_FILES, source, into)
    assert ended.returncode == 1
    assert "is full" in ended.stderr
    assert "run the same command again" in ended.stderr
    assert names(into) == []
    assert not (into / ".tiny.adding").exists()


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImporterError, match="Nothing was added"):
        added(decoder(tmp_path), tmp_path / "file" / "deployments")


def test_a_second_process_is_refused_while_the_first_works(tmp_path: Path) -> None:
    source, into = decoder(tmp_path), tmp_path / "deployments"
    script = "import sys; from inference.__main__ import main; raise SystemExit(main(sys.argv[1:]))"
    with locked(into, "tiny"):
        ended = run(script, source, into)
    assert (ended.returncode, "Another process is working on tiny" in ended.stderr) == (1, True)
    assert run(script, source, into).returncode == 0
    with pytest.raises(ImporterError, match="tiny exists"):
        added(source, into)
