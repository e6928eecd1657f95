"""The queue before the image decoders, bounded in pixels, and the silencing of Pillow's warnings.

Decoders release the interpreter's lock, so that small images, the usual ones, are decoded on as many
processors as there are; and however many requests come, the images decoded at one moment take the memory of
one image of the largest size.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock


class DecodeQueue:
    """A first-come, first-served queue: as many images at once as have together no more pixels than allowed.

    A large image is never passed by small ones that would fit before it.
    """

    def __init__(self) -> None:
        self._condition = Condition()
        self._waiting: deque[object] = deque()
        self._pixels = 0

    @property
    def waiting(self) -> int:
        """The number of images that wait."""
        return len(self._waiting)

    @contextmanager
    def slot(self, pixels: int, max_pixels: int) -> Iterator[None]:
        """Wait until an image fits among others of `max_pixels` together; a larger one is admitted alone."""
        ticket = object()
        with self._condition:
            self._waiting.append(ticket)
            self._condition.wait_for(
                lambda: (
                    self._waiting[0] is ticket and (not self._pixels or self._pixels + pixels <= max_pixels)
                )
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


class WarningSilencer:
    """A context manager that ignores warnings while any thread is inside; `catch_warnings` is for one thread.

    Pillow warns of odd metadata and of sizes near its own limit, which are either refused or harmless, and
    Python would remember the text of every warning for ever.
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
