"""Fresh server processes on a chat model of half a billion 4-bit weights, to the first token of an answer.

The phases are those that `/health` tells: the app's imports, the model libraries', opening, the first run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from benchmarks import half_billion
from benchmarks.measure import Spread, by_turns
from benchmarks.table import Goal, Line, Report
from inference.backends import prepared_graphs
from inference.settings import Settings
from tests.http.servers import end, spawn, url_of

ROUNDS = 5
MIB = 2**20
RESIDENT_FACTOR, RESIDENT_MORE = 2.2, 150e6
"""Of the goal for memory: so many times the weights' file, and so many bytes."""
BODY = {"messages": [{"role": "user", "content": "Hello!"}], "stream": True, "max_tokens": 4}


@dataclass(frozen=True, slots=True)
class Start:
    """What one start took, in seconds and bytes."""

    first: float
    resident: int
    phases: Mapping[str, float]


def run() -> Report:
    with TemporaryDirectory() as temporary:
        root = Path(temporary)
        folder = half_billion.write(root / "models")
        cache = {"INFERENCE_CACHE": str(root / "cache"), "INFERENCE_PREPACK": "true"}
        settings = Settings(prepack=True, cache=root / "cache")
        assert prepared_graphs.prepare(folder / "model.onnx", settings), (
            "there is no room to prepare the graph"
        )
        subjects: dict[str, Callable[[], Start]] = {
            "plain": partial(_start, root, {"INFERENCE_CACHE": str(root / "none")}),
            "prepared": partial(_start, root, cache),
        }
        found = by_turns(subjects, rounds=ROUNDS)
        size = half_billion.weights_size(folder)
    return Report(list(_lines(found, size)), [f"The weights are {size / 1e6:.0f} MB. Nothing is fetched."])


def _lines(found: Mapping[str, Sequence[Start]], size: int) -> list[Line]:
    plain, ready = ([start.first for start in found[name]] for name in ("plain", "prepared"))
    most = RESIDENT_FACTOR * size + RESIDENT_MORE
    resident = [float(start.resident) for start in found["plain"]]
    imports = [start.phases["app"] + start.phases["import"] for start in found["plain"]]
    return [
        Line("process start to first token", Spread.of(plain), " s", goal=Goal(1.5, " s")),
        Line("the same, weights prepared", Spread.of(ready), " s", goal=Goal(1.0, " s")),
        Line("saved by preparing", None, ratio=Spread.ratio(ready, to=plain)),
        Line(
            "imports, of the app and of the model's libraries", Spread.of(imports), " s", goal=Goal(0.4, " s")
        ),
        *(
            Line(f"{phase}, {name}", Spread.of([start.phases[phase] for start in found[name]]), " s")
            for name in ("plain", "prepared")
            for phase in ("open", "first_run")
        ),
        Line("resident memory", Spread.of(resident), " MB", 1e-6, goal=Goal(round(most / 1e6), " MB")),
    ]


def _start(root: Path, settings: Mapping[str, str]) -> Start:
    log, models = root / "server.log", {"INFERENCE_MODELS": str(root / "models")}
    with httpx.Client(trust_env=False, timeout=120) as client:
        began = time.perf_counter()
        process = spawn({**models, **settings}, log, "--port=0")
        try:
            client.base_url = httpx.URL(url_of(process, log))
            _first_token(client)
            first = time.perf_counter() - began
            return Start(first, _resident(process.pid), _phases(client.get("/health").json()))
        finally:
            process.terminate()
            end(process)


def _first_token(client: httpx.Client) -> None:
    """Read until the first chunk with text; the one before it only has the role."""
    with client.stream("POST", "/chat/completions", json=BODY) as response:
        response.raise_for_status()
        lines = (line for line in response.iter_lines() if line)
        next(lines), next(lines)


def _phases(health: Mapping[str, Any]) -> Mapping[str, float]:
    start = health["start"]
    phases = {name: found["seconds"] for name, found in start["deployments"][half_billion.NAME].items()}
    return {"app": start["import"]["seconds"], **phases}


def _resident(process: int) -> int:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
