"""How far the fetching of a deployment is, for those who wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

SHORTEST, LONGEST, UNKNOWN = 1, 60, 2
"""Seconds that a client is told to wait: at least, at most, and while nothing has come yet."""


@dataclass(slots=True)
class Progress:
    """Of one deployment; written by the fetching threads."""

    total: int
    done: int = 0
    problem: str = ""
    """Why it stands still, in a sentence; empty while it goes on."""
    hopeless: bool = False
    """Whether waiting cannot help."""
    spoilt: int = 0
    """How often other bytes came than there should be."""
    seconds: float = 0.0
    """What fetching took, when it is done."""
    clock: Callable[[], float] = time.monotonic
    _began: float | None = None
    _lock: Lock = field(default_factory=Lock)

    def begin(self) -> None:
        """A try begins, from what is there already."""
        with self._lock:
            self.done, self._began = 0, self.clock()

    def count(self, size: int) -> None:
        """So many bytes more are there."""
        with self._lock:
            self.done += size

    def end(self) -> None:
        with self._lock:
            self.done, self.problem = self.total, ""
            self.seconds = self.clock() - (self._began or self.clock())

    @property
    def remaining(self) -> int:
        """Seconds until it is there at the speed so far, within `SHORTEST` and `LONGEST`."""
        with self._lock:
            took = self.clock() - self._began if self._began is not None else 0.0
            left = (self.total - self.done) * took / self.done if self.done > 0 else UNKNOWN
        return round(min(max(left, SHORTEST), LONGEST))

    def body(self) -> dict[str, Any]:
        """What `/health` says."""
        found: dict[str, Any] = {"bytes": self.done, "total": self.total}
        return {**found, "problem": self.problem} if self.problem else found

    @property
    def text(self) -> str:
        """`12 of 90 MB`."""
        return f"{self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB"
