"""The progress of fetching a deployment, for the requests that wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

MIN_RETRY_AFTER, MAX_RETRY_AFTER, UNKNOWN_RETRY_AFTER = 1, 60, 2
"""Seconds that a client is asked to wait: at least, at most, and before the first byte."""


@dataclass(slots=True)
class Progress:
    """The progress of one deployment, in bytes; written by the fetching threads."""

    total: int
    done: int = 0
    problem: str = ""
    """The reason why fetching does not go on, in a sentence; empty while it does."""
    failed: bool = False
    """True if waiting cannot help."""
    corrupt_fetches: int = 0
    """Fetches of which the bytes were not those that the container declares."""
    seconds: float = 0.0
    """The seconds that fetching took, once it is complete."""
    clock: Callable[[], float] = time.monotonic
    _started: float | None = None
    _lock: Lock = field(default_factory=Lock)

    def begin(self) -> None:
        """Start an attempt, with no byte done."""
        with self._lock:
            self.done, self._started = 0, self.clock()

    def count(self, size: int) -> None:
        """Add bytes to those done; a negative number takes them back."""
        with self._lock:
            self.done += size

    def end(self) -> None:
        """Note that the deployment is complete."""
        with self._lock:
            self.done, self.problem = self.total, ""
            self.seconds = self.clock() - (self._started or self.clock())

    @property
    def remaining(self) -> int:
        """Seconds until completion at the rate so far, from `MIN_RETRY_AFTER` to `MAX_RETRY_AFTER`."""
        with self._lock:
            elapsed = self.clock() - self._started if self._started is not None else 0.0
            left = (self.total - self.done) * elapsed / self.done if self.done > 0 else UNKNOWN_RETRY_AFTER
        return round(min(max(left, MIN_RETRY_AFTER), MAX_RETRY_AFTER))

    def body(self) -> dict[str, Any]:
        """Return the progress as `/health` shows it."""
        progress: dict[str, Any] = {"bytes": self.done, "total": self.total}
        return {**progress, "problem": self.problem} if self.problem else progress

    @property
    def text(self) -> str:
        """The progress in words: `12 of 90 MB`."""
        return f"{self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB"
