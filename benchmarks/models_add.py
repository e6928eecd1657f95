"""`models add` of a folder with a model of 0.5 billion weights in 4 bits, opened once included.

open     the deployment that was made, opened by the registry alone
add      a process of `python -m inference models add` on the folder, large files as hard links
copied   the same with --copy
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import half_billion
from benchmarks.measure import Spread, by_turns
from benchmarks.table import Goal, Line, Report
from inference.registry.registry import Registry
from inference.settings import PROJECT, Settings

ROUNDS = 5
GOAL = Goal(10, " s")
NOTE = "The files were in the system's cache; a disk that is read for the first time adds its own time."


def run() -> Report:
    with TemporaryDirectory(dir=PROJECT) as temporary:  # on one file system with the deployments
        folder = Path(temporary)
        source = half_billion.write(folder)
        (source / "model.json").unlink()
        _added(source, folder / "kept")
        subjects: dict[str, Callable[[], float]] = {
            "open": lambda: _opened(folder / "kept"),
            "add": lambda: _added(source, folder / "linked"),
            "copied": lambda: _added(source, folder / "copied", "--copy"),
        }
        seconds = by_turns(subjects, rounds=ROUNDS)
    lines = [
        Line(name, Spread.of(taken), " s", goal=GOAL) for name, taken in seconds.items() if name != "open"
    ]
    alone = Line("the deployment opened alone", Spread.of(seconds["open"]), " s")
    ratio = Line("add to that", ratio=Spread.ratio(seconds["add"], seconds["open"]))
    return Report([alone, *lines, ratio], [NOTE])


def _opened(root: Path) -> float:
    began, registry = time.perf_counter(), Registry(Settings(models=(root,)))
    asyncio.run(registry.open(registry.deployments[0], patience=600))
    taken = time.perf_counter() - began
    registry.close()
    return taken


def _added(source: Path, into: Path, *options: str) -> float:
    shutil.rmtree(into, ignore_errors=True)
    command = [sys.executable, "-m", "inference", "models", "add", str(source), *options]
    began = time.perf_counter()
    environment = {**os.environ, "INFERENCE_MODELS": str(into)}
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
