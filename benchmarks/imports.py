"""Fresh interpreters that import the app, beside those that import only what every Functions app needs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.measure import Spread, by_turns
from benchmarks.table import Line, Report
from inference.settings import PROJECT

ROUNDS = 15
HEAVY = ("onnxruntime", "tokenizers", "llguidance", "PIL", "torch", "transformers")
"""What only a request may load."""
FLOOR = ("azure.functions", "azurefunctions.extensions.http.fastapi")
APP = ("function_app",)

SCRIPT = """
import importlib, json, resource, sys, time
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
before, start = resident(), time.perf_counter()
for name in sys.argv[2:]:
    importlib.import_module(name)
seconds = time.perf_counter() - start
heavy = [name for name in sys.argv[1].split(",") if name in sys.modules]
print(json.dumps({"seconds": seconds, "resident": resident() - before, "heavy": heavy}))
"""
MIB = 1 / 2**20
MILLISECONDS = 1e3


@dataclass(frozen=True, slots=True)
class Import:
    """What importing some modules took: time, resident bytes, and heavy packages that came along."""

    seconds: float
    resident: int
    heavy: list[str]


def run() -> Report:
    subjects: dict[str, Callable[[], Import]] = {
        "floor": partial(_import, FLOOR),
        "app": partial(_import, APP),
    }
    found = by_turns(subjects, rounds=ROUNDS)
    seconds = {name: [one.seconds for one in ones] for name, ones in found.items()}
    resident = {name: [float(one.resident) for one in ones] for name, ones in found.items()}
    heavy = sorted({name for one in found["app"] for name in one.heavy})
    ratio = Spread.ratio(seconds["app"], to=seconds["floor"])
    return Report(
        [
            Line("azure.functions with FastAPI", Spread.of(seconds["floor"]), " ms", MILLISECONDS),
            Line("function_app", Spread.of(seconds["app"]), " ms", MILLISECONDS, ratio),
            Line("resident memory of the former", Spread.of(resident["floor"]), " MiB", MIB),
            Line(
                "resident memory of function_app",
                Spread.of(resident["app"]),
                " MiB",
                MIB,
                Spread.ratio(resident["app"], to=resident["floor"]),
            ),
        ],
        [f"Of {', '.join(HEAVY)}, function_app loads {', '.join(heavy) or 'none'}."],
    )


def _import(modules: tuple[str, ...]) -> Import:
    command = [sys.executable, "-c", SCRIPT, ",".join(HEAVY), *modules]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return Import(**json.loads(done.stdout))
