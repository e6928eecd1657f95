"""Inputs of concurrent requests share runs of a model, on one worker thread.

A worker that is free takes what waits at that moment: a lone request never waits for company, and while a run
lasts, company gathers by itself. Requests take turns. A run is built around the largest input of the request
whose turn it is and filled with the inputs nearest to it in size, whoever sent them: padding stays small, and
a large request does not hold up the small ones behind it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import attrgetter
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from inference.errors import Busy, ModelNotReady

if TYPE_CHECKING:
    from inference.contracts import Vectors

Item = TypeVar("Item")

FILL = 0.8
"""The least size of an input in a run, as a share of the run's largest.

Of 8 to 32 texts of mixed lengths (log-normal, 4 to 256 tokens) at 512 tokens a run, this share brings the
padded tokens from 1.3 to 1.4 times the real ones down to 1.15; of hundreds of texts it changes nothing.
"""


class Microbatch(Generic[Item]):
    """Runs a model on the inputs of many requests at once; every request gets its own vectors, in order."""

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Vectors],
        *,
        size: Callable[[Item], int],
        budget: int,
        queue_limit: int,
        name: str,
    ) -> None:
        """`run` gives one row an input and is only called on the worker thread, named `name`.

        `budget` is how much one run holds: its largest input's size times its inputs. An input that is larger
        runs alone. `queue_limit` is how many requests may have inputs that wait.
        """
        self._run = run
        self._size = size
        self._budget = budget
        self._queue_limit = queue_limit
        self._lock = Lock()
        self._bell: SimpleQueue[bool] = SimpleQueue()
        """Rung for every request that enters; with False, for the last time."""
        self._waiting: list[_Entry[Item]] = []
        """Every input that waits, by size."""
        self._turns: deque[_Request] = deque()
        """The requests with inputs that wait; the next run is built for the first one."""
        self._closed = False
        self._worker = Thread(target=self._work, name=name, daemon=True)
        self._worker.start()

    async def submit(self, items: Sequence[Item]) -> Vectors:
        """One row an item, float32 [items, dimensions], in the items' order. At least one item.

        Cancelled, it takes back what has not begun to run. Raises `errors.Busy` when the queue is full,
        `errors.ModelNotReady` when the model is closed, and whatever `run` raises on these items.
        """
        if not items:
            raise ValueError("nothing to run")
        request = _Request(len(items))
        entries = [_Entry(item, self._size(item), place, request) for place, item in enumerate(items)]
        self._enter(request, entries)
        try:
            return await request.answer
        finally:
            if request.waiting:
                self._withdraw(request)

    def close(self) -> None:
        """Ends the worker after the run it is at; what still waits ends with `errors.ModelNotReady`."""
        with self._lock:
            self._closed = True
            for request in self._turns:
                request.fail(_gone())
            self._turns.clear()
            self._waiting.clear()
        self._bell.put(False)
        self._worker.join()

    def _enter(self, request: _Request, entries: list[_Entry[Item]]) -> None:
        with self._lock:
            if self._closed:
                raise _gone()
            if len(self._turns) >= self._queue_limit:
                raise Busy(f"{len(self._turns)} requests wait for this model already.")
            self._turns.append(request)
            self._waiting += entries
            self._waiting.sort(key=_BY_SIZE)
        self._bell.put(True)

    def _withdraw(self, request: _Request) -> None:
        with self._lock:
            if request in self._turns:
                self._turns.remove(request)
                self._waiting = [entry for entry in self._waiting if entry.request is not request]

    def _work(self) -> None:
        while self._bell.get():
            while run := self._next():
                self._attempt(run)

    def _next(self) -> list[_Entry[Item]]:
        """The inputs of the next run; none when nothing waits."""
        with self._lock:
            return self._take() if self._waiting else []

    def _take(self) -> list[_Entry[Item]]:
        first, end = self._around(self._largest_of(self._turns[0]))
        run = self._waiting[first:end]
        del self._waiting[first:end]
        for entry in run:
            entry.request.waiting -= 1
        self._turns.rotate(-1)
        self._turns = deque(request for request in self._turns if request.waiting)
        return run

    def _largest_of(self, request: _Request) -> int:
        places = range(len(self._waiting) - 1, -1, -1)
        return next(place for place in places if self._waiting[place].request is request)

    def _around(self, place: int) -> tuple[int, int]:
        """The widest run of neighbours by size that holds a place: upwards first, then downwards."""
        first, end = place, place + 1
        while end < len(self._waiting) and self._holds(first, end + 1):
            end += 1
        while first > 0 and self._holds(first - 1, end):
            first -= 1
        return first, end

    def _holds(self, first: int, end: int) -> bool:
        smallest, largest = self._waiting[first].size, self._waiting[end - 1].size
        return largest * (end - first) <= self._budget and smallest >= largest * FILL

    def _attempt(self, run: Sequence[_Entry[Item]]) -> None:
        """Runs inputs together; when that fails, every request's own alone, so that a bad one fails alone."""
        try:
            vectors = self._run([entry.item for entry in run])
        except Exception as error:  # noqa: BLE001  it is the caller's to handle
            requests = list(dict.fromkeys(entry.request for entry in run))
            if len(requests) == 1:
                requests[0].fail(error)
                return
            for request in requests:
                self._attempt([entry for entry in run if entry.request is request])
            return
        for request, rows, places in _shares(run):
            request.receive(places, vectors if len(rows) == len(run) else vectors[rows])


class _Request:
    """One caller's inputs on their way."""

    def __init__(self, count: int) -> None:
        self.waiting = count
        self.answer: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()
        self._count = count
        self._missing = count
        self._vectors: Vectors | None = None

    def receive(self, places: Sequence[int], vectors: Vectors) -> None:
        """Keeps the vectors of the inputs at these places; the last ones wake the caller."""
        if self._count == 1:
            self._vectors = vectors
        else:
            if self._vectors is None:
                self._vectors = np.empty((self._count, vectors.shape[1]), np.float32)
            self._vectors[places] = vectors
        self._missing -= len(places)
        if not self._missing:
            self._wake(self.answer.set_result, self._vectors)

    def fail(self, error: Exception) -> None:
        self._wake(self.answer.set_exception, error)

    def _wake(self, settle: Callable[[Any], None], outcome: object) -> None:
        def unless_settled() -> None:
            if not self.answer.done():
                settle(outcome)

        with suppress(RuntimeError):  # the caller's event loop is closed, and nobody waits
            self.answer.get_loop().call_soon_threadsafe(unless_settled)


class _Entry(NamedTuple, Generic[Item]):
    """One input: how large it is and where its vector belongs."""

    item: Item
    size: int
    place: int
    request: _Request


_BY_SIZE = attrgetter("size")


def _shares(run: Sequence[_Entry[Any]]) -> list[tuple[_Request, list[int], list[int]]]:
    """Per request of a run: its rows of the run, and their places among the request's inputs."""
    shares: dict[_Request, tuple[list[int], list[int]]] = {}
    for row, entry in enumerate(run):
        rows, places = shares.setdefault(entry.request, ([], []))
        rows.append(row)
        places.append(entry.place)
    return [(request, rows, places) for request, (rows, places) in shares.items()]


def _gone() -> ModelNotReady:
    return ModelNotReady("The model was closed; ask again.")
