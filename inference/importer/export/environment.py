"""The environments of exporters: made by venv and pip when first needed, and the processes run in them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.importer.deployment_folder import locked
from inference.importer.export.exporters import Exporter
from inference.importer.findings import ImporterError, Report

TAIL_LINES = 20
"""Lines of a process's output that are kept, to be shown when it fails."""
COMPLETE = "ready"
"""Name of the file that marks a complete environment; without it the environment is made again."""


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """Exit code of a process, and the last lines of its output and errors."""

    code: int
    tail: str


Run = Callable[[Sequence[str], Path, Mapping[str, str]], ProcessResult]
"""Runs a command line in a folder, with variables added to those of this process."""


def run_process(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> ProcessResult:
    """Run a process to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    # Packages of this environment must not be found by the Python of another.
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")
    }
    process = subprocess.run(  # noqa: S603  our own command lines, no shell
        list(command),
        cwd=folder,
        env={**inherited, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return ProcessResult(process.returncode, "\n".join(process.stdout.splitlines()[-TAIL_LINES:]))


def environments() -> Path:
    """Return the default folder of all environments."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "model-inference" / "exporters"


def python_of(exporter: Exporter, root: Path, run: Run, report: Report) -> str:
    """Return the Python of an exporter's environment under `root`, which is made where it is missing.

    Raises `ImporterError` where it cannot be made.
    """
    requirements = "\n".join(exporter.requirements)
    digest = hashlib.sha256(f"{sys.version}\n{requirements}".encode()).hexdigest()[:12]
    folder = root / f"{exporter.name}-{digest}"
    with locked(root, folder.name):
        if not (folder / COMPLETE).is_file():
            report(f"The environment of {exporter.name} is made once, in {folder}: some hundred MB.")
            _make(folder, exporter, run)
    return _python(folder)


def _make(folder: Path, exporter: Exporter, run: Run) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    pip = [_python(folder), "-m", "pip", "install", "--disable-pip-version-check", "-q"]
    steps = ([sys.executable, "-m", "venv", str(folder)], [*pip, *exporter.requirements])
    for step in steps:
        result = run(step, folder.parent, {})
        if result.code:
            raise ImporterError(
                f"The environment of {exporter.name} cannot be made. It uses pip's own settings, such as "
                f"PIP_INDEX_URL and PIP_EXTRA_INDEX_URL. The last lines of the output:\n{result.tail}"
            )
    (folder / COMPLETE).write_text("\n".join(exporter.requirements) + "\n", encoding="utf-8")


def _python(folder: Path) -> str:
    parts = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return str(folder.joinpath(*parts))
