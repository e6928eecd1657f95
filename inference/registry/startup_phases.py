"""The phases of a cold start, in seconds: what each took, and how old the process was when it was over."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from inference.contracts import Events

FIRST_RUN = "first_run"
"""The phase from a deployment's first request that reached the running model to its first result."""

_IMPORTED = time.monotonic()


def age() -> float:
    """Seconds since this process began; since this module was imported where the system does not say."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        began = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - began
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _IMPORTED


class StartupPhases:
    """Written by whoever does the work, read by `/health`."""

    def __init__(self) -> None:
        self._imported = age()
        self._phases: dict[str, dict[str, Mapping[str, float]]] = {}
        self._lock = Lock()

    @contextmanager
    def phase(self, deployment: str, name: str) -> Iterator[None]:
        """Times a block that is one phase of a deployment's start."""
        start = time.perf_counter()
        yield
        self.note(deployment, name, time.perf_counter() - start)

    def note(self, deployment: str, name: str, seconds: float) -> None:
        """Only the first time of each phase counts: later ones are no cold starts."""
        with self._lock:
            entry = {"seconds": round(seconds, 3), "at": round(age(), 3)}
            self._phases.setdefault(deployment, {}).setdefault(name, entry)

    def to_first(self, deployment: str, events: Events) -> Events:
        """The events; the first one a deployment ever gives ends its first run."""
        known = FIRST_RUN in self._phases.get(deployment, ())
        return events if known else self._to_first(deployment, events)

    async def _to_first(self, deployment: str, events: Events) -> Events:
        async with aclosing(events):
            with self.phase(deployment, FIRST_RUN):
                first = await anext(events, None)
            if first is not None:
                yield first
            async for event in events:
                yield event

    def body(self) -> dict[str, Any]:
        """What `/health` says."""
        with self._lock:
            phases = {deployment: dict(found) for deployment, found in self._phases.items()}
        return {"import": {"seconds": round(self._imported, 3)}, "deployments": phases}
