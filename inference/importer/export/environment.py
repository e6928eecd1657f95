"""A process of another environment: what it was told, how it ended, what it said last."""

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
from inference.importer.findings import ImporterError, Say

LAST = 20
"""Lines of what a process said that are shown when it failed."""


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """The exit code, and the last lines of both outputs."""

    code: int
    tail: str


Run = Callable[[Sequence[str], Path, Mapping[str, str]], ProcessResult]
"""A command line, the folder it runs in, and variables beside this process's own."""


def run(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> ProcessResult:
    """Waits for the end; of what is said only the last lines are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    # Another environment's packages must not be found through this one's paths.
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    ended = subprocess.run(  # noqa: S603  our own command lines, no shell
        list(command),
        cwd=folder,
        env={**kept, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return ProcessResult(ended.returncode, "\n".join(ended.stdout.splitlines()[-LAST:]))


READY = "ready"
"""A file that is written when all is installed; without it the environment is made anew."""


def environments() -> Path:
    """Where they are kept unless said otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "model-inference" / "exporters"


def python_of(exporter: Exporter, root: Path, run: Run, say: Say) -> str:
    """The Python of an exporter's environment, made if it is not there. Raises `ImporterError`."""
    told = "\n".join(exporter.requirements)
    digest = hashlib.sha256(f"{sys.version}\n{told}".encode()).hexdigest()[:12]
    folder = root / f"{exporter.name}-{digest}"
    with locked(root, folder.name):
        if not (folder / READY).is_file():
            say(f"{exporter.name}'s environment is made in {folder}, once: this fetches some hundred MB.")
            _make(folder, exporter, run)
    return _python(folder)


def _make(folder: Path, exporter: Exporter, run: Run) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    pip = [_python(folder), "-m", "pip", "install", "--disable-pip-version-check", "-q"]
    steps = ([sys.executable, "-m", "venv", str(folder)], [*pip, *exporter.requirements])
    for step in steps:
        ended = run(step, folder.parent, {})
        if ended.code:
            raise ImporterError(
                f"The environment of {exporter.name} could not be made. pip's own settings hold "
                f"(PIP_INDEX_URL, PIP_EXTRA_INDEX_URL). It said:\n{ended.tail}"
            )
    (folder / READY).write_text("\n".join(exporter.requirements) + "\n", encoding="utf-8")


def _python(folder: Path) -> str:
    parts = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return str(folder.joinpath(*parts))
