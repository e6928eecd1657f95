"""How far the fetching of a deployment is, for those who wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

SHORTEST, LONGEST = 1, 60
"""Seconds that a client is told to wait, at least and at most."""


@dataclass(slots=True)
class Progress:
    """Of one deployment; written by the fetching threads."""

    total: int
    done: int = 0
    problem: str = ""
    """Why it stands still, in a sentence; empty while it goes on."""
    hopeless: bool = False
    """Whether waiting cannot help."""
    seconds: float = 0.0
    """What fetching took, when it is done."""
    clock: Callable[[], float] = time.monotonic
    _began: float | None = None
    _found: int = 0
    _lock: Lock = field(default_factory=Lock)

    def begin(self) -> None:
        """A try begins, from what is there already."""
        with self._lock:
            self.done, self._began, self._found = 0, self.clock(), 0

    def count(self, size: int) -> None:
        """So many bytes more are there."""
        with self._lock:
            self.done += size

    def found(self) -> None:
        """What is there by now did not have to be fetched, and says nothing of the speed."""
        with self._lock:
            self._found = self.done

    def end(self) -> None:
        with self._lock:
            self.done, self.problem = self.total, ""
            self.seconds = self.clock() - (self._began or self.clock())

    @property
    def remaining(self) -> int:
        """Seconds until it is there at the speed so far, within `SHORTEST` and `LONGEST`."""
        with self._lock:
            came = self.done - self._found
            took = self.clock() - self._began if self._began is not None else 0.0
            left = (self.total - self.done) * took / came if came > 0 else 2.0
        return round(min(max(left, SHORTEST), LONGEST))

    @property
    def text(self) -> str:
        """`12 of 90 MB`."""
        return f"{self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB"
