"""The whole soak of clients that leave: at its end every slot, place, connection and handle must be free."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.table import Report
from tests.http.soak import soak

REQUESTS, LEAVERS = 10_000, 2_000


def run() -> Report:
    started = time.perf_counter()
    with TemporaryDirectory() as name:
        outcome = asyncio.run(soak(Path(name), requests=REQUESTS, leavers=LEAVERS))
    if outcome.faults:
        raise SystemExit("\n".join(outcome.faults[:20]))
    stages = ", ".join(f"{count} at the stage {stage}" for stage, count in outcome.left.items())
    seconds, (before, after) = time.perf_counter() - started, outcome.handles
    return Report(
        notes=[
            f"{outcome.requests} requests in {seconds:.0f} s; clients that left: {stages}.",
            f"File handles of the server before and after: {before} and {after}.",
            "Every slot, place of the queue and connection to the endpoint was taken again at once.",
        ]
    )
