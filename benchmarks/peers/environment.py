"""Environments for what a benchmark needs and the project does not: made once, under `build/`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
BUILD = PROJECT / "build" / "benchmarks"


def interpreter(name: str, *batches: Sequence[str]) -> Path:
    """The Python of an environment that has these packages, each batch installed after the one before.

    Takes minutes the first time: some are compiled. Raises `subprocess.CalledProcessError`.
    """
    wanted = hashlib.sha256(repr(batches).encode()).hexdigest()[:12]
    folder = BUILD / f"{name}-{wanted}"
    python, done = folder / "bin" / "python", folder / "done"
    if not done.exists():
        print(f"Making {folder.relative_to(PROJECT)} ...", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for batch in batches:
            subprocess.run([python, "-m", "pip", "install", "-q", *batch], check=True)
        done.touch()
    return python
