"""How many pictures are decoded at once: as many as together have no more pixels than the largest may have.

Decoders give the interpreter free, so that small pictures, the usual ones, are decoded on as many processors
as there are; and however many requests come, what is decoded at one moment takes the memory of one picture of
the largest size.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock


class DecodeQueue:
    """Lets in as many as fit, in their order: no large picture is passed by small ones for ever."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._waiting: deque[object] = deque()
        self._pixels = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @contextmanager
    def of(self, pixels: int, most: int) -> Iterator[None]:
        """Room for a picture among others of at most `most` pixels together; a larger one is let in alone."""
        me = object()
        with self._condition:
            self._waiting.append(me)
            self._condition.wait_for(
                lambda: self._waiting[0] is me and (not self._pixels or self._pixels + pixels <= most)
            )
            self._waiting.popleft()
            self._pixels += pixels
            self._condition.notify_all()
        try:
            yield
        finally:
            with self._condition:
                self._pixels -= pixels
                self._condition.notify_all()


class StderrSilencer:
    """Ignores warnings while anybody is inside: `catch_warnings` alone is not made for several threads.

    What Pillow warns of (odd metadata, sizes near its own limit) is either refused or harmless, and Python
    would remember the text of every warning for ever.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._caught: warnings.catch_warnings[None] | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._caught is not None:
                self._caught.__exit__(None, None, None)
                self._caught = None
