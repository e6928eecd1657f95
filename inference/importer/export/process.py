"""A process of another environment: what it was told, how it ended, what it said last."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
