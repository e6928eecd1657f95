"""Microbatches: inputs of concurrent requests share runs of a model, on one worker thread.

A free worker takes the inputs that wait at that moment: a lone request never waits for others, and while a
run lasts, others gather. Requests take turns. A run is built around the largest input of the request whose
turn it is and filled with the inputs nearest to it in size, of any request: padding stays small, and a large
request does not delay the small ones after it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import attrgetter
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np

from inference.errors import Busy, ModelNotReady

if TYPE_CHECKING:
    from inference.contracts import Vectors

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

MIN_SIZE_RATIO = 0.8
"""The least size of an input in a run, as a share of the run's largest.

Of 8 to 32 texts of mixed lengths (log-normal, 4 to 256 tokens) at 512 tokens a run, this share brings the
padded tokens from 1.3 to 1.4 times the real ones down to 1.15; of hundreds of texts it changes nothing.
"""


class Microbatch(Generic[Item]):
    """Runs of a model on the inputs of many requests at once; every request gets its own vectors."""

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Vectors],
        *,
        size: Callable[[Item], int],
        budget: int,
        queue_limit: int,
        name: str,
    ) -> None:
        """Start the worker thread, named `name`, on which alone `run` is called: it returns one row an input.

        `budget` bounds a run: its largest input's size times its inputs. A larger input runs alone.
        `queue_limit` is the most requests with inputs that wait.
        """
        self._run = run
        self._size = size
        self._budget = budget
        self._queue_limit = queue_limit
        self._lock = Lock()
        self._wakeups: SimpleQueue[bool] = SimpleQueue()
        """True for every request that enters; False ends the worker."""
        self._waiting: list[_Entry[Item]] = []
        """Every input that waits, by size."""
        self._turns: deque[_Request] = deque()
        """The requests with inputs that wait; the next run is built for the first one."""
        self._closed = False
        self._worker = Thread(target=self._work, name=name, daemon=True)
        self._worker.start()

    async def submit(self, items: Sequence[Item]) -> Vectors:
        """Return one row for each of the items, at least one: float32 [items, dimensions].

        Cancelled, it withdraws the inputs that have not run yet. Raises `errors.Busy` when the queue is full,
        `errors.ModelNotReady` when the model is closed, and the error that `run` raises on these items.
        """
        if not items:
            raise ValueError("nothing to run")
        request = _Request(len(items))
        entries = [_Entry(item, self._size(item), index, request) for index, item in enumerate(items)]
        self._enter(request, entries)
        try:
            return await request.vectors
        finally:
            if request.waiting:
                self._withdraw(request)

    def close(self) -> None:
        """End the worker after its present run; waiting requests end with `errors.ModelNotReady`."""
        with self._lock:
            self._closed = True
            for request in self._turns:
                request.fail(_closed_error())
            self._turns.clear()
            self._waiting.clear()
        self._wakeups.put(False)
        self._worker.join()

    def _enter(self, request: _Request, entries: list[_Entry[Item]]) -> None:
        with self._lock:
            if self._closed:
                raise _closed_error()
            if len(self._turns) >= self._queue_limit:
                raise Busy(f"{len(self._turns)} requests already wait for this model; try again later.")
            self._turns.append(request)
            self._waiting += entries
            self._waiting.sort(key=_BY_SIZE)
        self._wakeups.put(True)

    def _withdraw(self, request: _Request) -> None:
        with self._lock:
            if request in self._turns:
                self._turns.remove(request)
                self._waiting = [entry for entry in self._waiting if entry.request is not request]

    def _work(self) -> None:
        while self._wakeups.get():
            while entries := self._next():
                self._attempt(entries)

    def _next(self) -> list[_Entry[Item]]:
        """Return the inputs of the next run, removed from the queue; none when nothing waits."""
        with self._lock:
            return self._take() if self._waiting else []

    def _take(self) -> list[_Entry[Item]]:
        first, end = self._neighbours(self._largest_of(self._turns[0]))
        entries = self._waiting[first:end]
        del self._waiting[first:end]
        for entry in entries:
            entry.request.waiting -= 1
        self._turns.rotate(-1)
        self._turns = deque(request for request in self._turns if request.waiting)
        return entries

    def _largest_of(self, request: _Request) -> int:
        indices = range(len(self._waiting) - 1, -1, -1)
        return next(index for index in indices if self._waiting[index].request is request)

    def _neighbours(self, index: int) -> tuple[int, int]:
        """Return the widest range by size around an input that makes one run: larger ones first."""
        first, end = index, index + 1
        while end < len(self._waiting) and self._fits(first, end + 1):
            end += 1
        while first > 0 and self._fits(first - 1, end):
            first -= 1
        return first, end

    def _fits(self, first: int, end: int) -> bool:
        smallest, largest = self._waiting[first].size, self._waiting[end - 1].size
        return largest * (end - first) <= self._budget and smallest >= largest * MIN_SIZE_RATIO

    def _attempt(self, entries: Sequence[_Entry[Item]]) -> None:
        """Run inputs together; where that fails, each request's own, so that only the one at fault fails."""
        try:
            vectors = self._run([entry.item for entry in entries])
        except Exception as error:  # noqa: BLE001  raised again to the caller
            requests = list(dict.fromkeys(entry.request for entry in entries))
            if len(requests) == 1:
                requests[0].fail(error)
                return
            for request in requests:
                self._attempt([entry for entry in entries if entry.request is request])
            return
        for request, rows, positions in _shares(entries):
            request.receive(positions, vectors if len(rows) == len(entries) else vectors[rows])


class _Request:
    """One caller's inputs, until their vectors are complete."""

    def __init__(self, count: int) -> None:
        self.waiting = count
        """Inputs that have not run yet."""
        self.vectors: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()
        self._count = count
        self._missing = count
        self._collected: Vectors | None = None

    def receive(self, positions: Sequence[int], vectors: Vectors) -> None:
        """Store the vectors of the inputs at these positions; the last ones wake the caller."""
        if self._count == 1:
            self._collected = vectors
        else:
            if self._collected is None:
                self._collected = np.empty((self._count, vectors.shape[1]), np.float32)
            self._collected[positions] = vectors
        self._missing -= len(positions)
        if not self._missing:
            self._wake(self.vectors.set_result, self._collected)

    def fail(self, error: Exception) -> None:
        """Wake the caller with an error."""
        self._wake(self.vectors.set_exception, error)

    def _wake(self, settle: Callable[[Outcome], None], outcome: Outcome) -> None:
        def settle_once() -> None:
            if not self.vectors.done():
                settle(outcome)

        with suppress(RuntimeError):  # the caller's event loop is closed
            self.vectors.get_loop().call_soon_threadsafe(settle_once)


class _Entry(NamedTuple, Generic[Item]):
    """One input, its size, and its position among the inputs of its request."""

    item: Item
    size: int
    position: int
    request: _Request


_BY_SIZE = attrgetter("size")


def _shares(entries: Sequence[_Entry[Item]]) -> list[tuple[_Request, list[int], list[int]]]:
    """Return for each request of a run its rows, and their positions among the request's inputs."""
    shares: dict[_Request, tuple[list[int], list[int]]] = {}
    for row, entry in enumerate(entries):
        rows, positions = shares.setdefault(entry.request, ([], []))
        rows.append(row)
        positions.append(entry.position)
    return [(request, rows, positions) for request, (rows, positions) in shares.items()]


def _closed_error() -> ModelNotReady:
    return ModelNotReady("The model was closed; send the request again.")
