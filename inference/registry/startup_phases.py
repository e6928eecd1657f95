"""The phases of a deployment's cold start: the seconds each took, and the process's age at its end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from inference.contracts import Events

FETCH = "fetch"
"""The phase in which the files come from a container."""
IMPORT = "import"
"""The phase in which the backend's libraries are imported."""
OPEN = "open"
"""The phase in which the model is loaded."""
FIRST_RUN = "first_run"
"""The phase from a deployment's first request that reached the running model to its first result."""

_IMPORTED = time.monotonic()


def process_age() -> float:
    """Return the seconds since this process started, or since this module's import if that is unknown."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _IMPORTED


class StartupPhases:
    """The phases of every deployment's cold start; recorded by several threads, shown by `/health`."""

    def __init__(self) -> None:
        self._imported = process_age()
        self._phases: dict[str, dict[str, Mapping[str, float]]] = {}
        self._lock = Lock()

    @contextmanager
    def phase(self, deployment: str, name: str) -> Iterator[None]:
        """Time a block as a phase of a deployment's start; a block that raises is not recorded."""
        start = time.perf_counter()
        yield
        self.record(deployment, name, time.perf_counter() - start)

    def record(self, deployment: str, name: str, seconds: float) -> None:
        """Record a phase that has just ended.

        Each phase is recorded once, and none but the first run after the deployment was opened: when an
        evicted deployment is fetched and opened again, that is no part of its cold start.
        """
        entry = {"seconds": round(seconds, 3), "at": round(process_age(), 3)}
        with self._lock:
            phases = self._phases.setdefault(deployment, {})
            if OPEN not in phases or name == FIRST_RUN:
                phases.setdefault(name, entry)

    def time_first_event(self, deployment: str, events: Events) -> Events:
        """Return the events; the first event of a deployment ends its first run."""
        recorded = FIRST_RUN in self._phases.get(deployment, ())
        return events if recorded else self._time_first(deployment, events)

    async def _time_first(self, deployment: str, events: Events) -> Events:
        async with aclosing(events):
            with self.phase(deployment, FIRST_RUN):
                first = await anext(events, None)
            if first is not None:
                yield first
            async for event in events:
                yield event

    def body(self) -> dict[str, Any]:
        """Return the part of `/health` on the start: seconds and ages, rounded to milliseconds."""
        with self._lock:
            phases = {deployment: dict(recorded) for deployment, recorded in self._phases.items()}
        return {"import": {"seconds": round(self._imported, 3)}, "deployments": phases}
