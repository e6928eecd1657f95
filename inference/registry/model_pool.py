"""The pool of open models: opened when first needed, within a memory budget, evicted when idle.

A request holds a lease of its model; a model with a lease is never evicted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from threading import RLock
from typing import TypeVar

from inference.backends.loaded_models import LoadedModel
from inference.cards.card import CardError, Deployment
from inference.errors import ApiError, DeploymentBroken, DeploymentTooLarge, ModelNotReady
from inference.settings.machine import MIB

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class PoolFull(Exception):
    """The memory that a model needs is taken by models with leases."""


@dataclass(slots=True, eq=False)
class PoolEntry:
    """A model that is open or being opened, or the error with which opening failed."""

    deployment: Deployment
    cost: int
    """Bytes of the budget that it takes."""
    future: Future[LoadedModel] = field(default_factory=Future)
    uses: int = 0
    """Leases of it, and requests that wait for one."""
    last_use: int = 0
    """The pool's clock when it was last requested; greater is later."""


class Lease:
    """A model that stays open until the lease is released; a context manager releases it at its end."""

    def __init__(self, model: LoadedModel, release: Callable[[], None]) -> None:
        self.model = model
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """Allow the eviction of the model; further calls do nothing."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def __enter__(self) -> LoadedModel:
        return self.model

    def __exit__(self, *_: object) -> None:
        self.release()

    def __del__(self) -> None:
        # A stream that no client started to read is never closed, only collected as garbage.
        self.release()


class ModelPool:
    """The open models of a process, opened one at a time in a thread of their own."""

    def __init__(
        self,
        budget: int,
        *,
        open_model: Callable[[Deployment], LoadedModel],
        on_closed: Callable[[Deployment], None],
        estimate: Callable[[Deployment], int],
        resident: Callable[[], int],
        trim: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the bytes that all open models may have, and the functions that open and measure them.

        `estimate` returns the bytes that a deployment is going to take; 0 is for a remote one, which needs no
        room and is never evicted. A model counts with the growth of `resident`, the bytes of this process,
        where that is more. `trim` returns freed memory to the system.
        """
        self.budget = budget
        self._open_model = open_model
        self._on_closed = on_closed
        self._estimate = estimate
        self._resident = resident
        self._trim = trim
        self._entries: dict[str, PoolEntry] = {}
        self._clock = count(1)
        # Leases are released by the garbage collector too, which may run while this thread holds the lock.
        self._lock = RLock()
        self._freed: Future[None] = Future()
        """Replaced and resolved each time a model has no lease any more."""
        self._loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="load")

    async def lease(self, deployment: Deployment, *, patience: float) -> Lease:
        """Return a lease of the running model, opening it if needed.

        Raises `ModelNotReady` when that takes longer than `patience` seconds (opening goes on) or models in
        use take the memory for so long; `DeploymentTooLarge` when it can never fit; `DeploymentBroken` when
        its files do not match the card.
        """
        deadline = time.monotonic() + patience
        while True:
            freed, entry = self._freed, self._acquire(deployment)
            try:
                return Lease(await _result(entry, deadline), partial(self._release, entry))
            except PoolFull as full:
                self._release(entry)
                await _wait_until_freed(freed, deadline, f"{deployment.name} cannot be opened now: {full}")
            except BaseException:
                self._release(entry)
                raise

    def state(self, deployment: Deployment) -> str:
        """Return `closed` before the first request and after eviction, `loading`, `open` or `broken`."""
        entry = self._entries.get(deployment.name)
        if entry is None or entry.deployment != deployment:
            return "closed"
        if not entry.future.done():
            return "loading"
        error = entry.future.exception()
        if error is None:
            return "open"
        return "closed" if isinstance(error, (PoolFull, ModelNotReady)) else "broken"

    @property
    def used(self) -> int:
        """Bytes of the budget taken by the models that are open or being opened."""
        with self._lock:
            return sum(entry.cost for entry in self._entries.values() if not _failed(entry))

    @property
    def opened(self) -> list[LoadedModel]:
        """The models that are open now."""
        with self._lock:
            entries = list(self._entries.values())
        return [entry.future.result() for entry in entries if entry.future.done() and not _failed(entry)]

    def close(self) -> None:
        """Close every open model, after the one that is still loading."""
        self._loader.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            entries, self._entries = list(self._entries.values()), {}
        for entry in entries:
            if not entry.future.done():
                entry.future.set_exception(ModelNotReady("The endpoint is shutting down."))
            elif not _failed(entry):
                self._close_model(entry)

    def _acquire(self, deployment: Deployment) -> PoolEntry:
        """Return the deployment's entry with one use more, and start to open it if needed."""
        with self._lock:
            entry = self._entries.get(deployment.name)
            if entry is not None and entry.deployment != deployment:
                # Other files under the same name: the old model stays until it is evicted like any other.
                self._entries[f"{deployment.name} {id(entry)}"] = self._entries.pop(deployment.name)
                entry = None
            if entry is None or _may_recover(entry):
                entry = PoolEntry(deployment, 0)
                self._entries[deployment.name] = entry
                self._loader.submit(self._load, entry)
            entry.uses += 1
            entry.last_use = next(self._clock)
            return entry

    def _release(self, entry: PoolEntry) -> None:
        with self._lock:
            entry.uses -= 1
            if entry.uses or _failed(entry):
                return
            freed, self._freed = self._freed, Future()
        freed.set_result(None)

    def _load(self, entry: PoolEntry) -> None:
        try:
            self._make_room(entry)
            entry.future.set_result(self._open(entry))
        except BaseException as error:  # noqa: BLE001  raised in the requests that wait
            entry.future.set_exception(error)

    def _open(self, entry: PoolEntry) -> LoadedModel:
        before = self._resident()
        opened = self._open_model(entry.deployment)
        self._trim()
        growth = self._resident() - before
        if entry.cost and growth > entry.cost:
            log.info(
                "%s takes %d MiB, the estimate was %d",
                entry.deployment.name,
                growth // MIB,
                entry.cost // MIB,
            )
            entry.cost = growth
        return opened

    def _close_model(self, entry: PoolEntry) -> None:
        entry.future.result().close()
        entry.future = Future()  # the resolved one references the model
        self._on_closed(entry.deployment)

    def _make_room(self, entry: PoolEntry) -> None:
        needed = self._estimate(entry.deployment)
        if needed > self.budget:
            raise DeploymentTooLarge(
                f"{entry.deployment.name} takes about {needed / MIB:.0f} MiB of memory, "
                f"INFERENCE_MEMORY_MB is {self.budget // MIB}."
            )
        for evicted in self._evict(entry, needed):
            log.info("%s is closed to make room for %s", evicted.deployment.name, entry.deployment.name)
            self._close_model(evicted)
            self._trim()

    def _evict(self, entry: PoolEntry, needed: int) -> list[PoolEntry]:
        """Remove and return the least recently used idle models until `needed` bytes fit for an entry.

        Raises `PoolFull`, and removes none, if that is not enough.
        """
        if not needed:
            return []
        with self._lock:
            lacking, evicted = needed - (self.budget - self.used), []
            opened = (e for e in self._entries.values() if e.future.done() and not _failed(e))
            idle = (e for e in opened if e.cost and not e.uses)
            for candidate in sorted(idle, key=lambda candidate: candidate.last_use):
                if lacking <= 0:
                    break
                evicted.append(candidate)
                lacking -= candidate.cost
            if lacking > 0:
                raise PoolFull(f"models in use take {lacking / MIB:.0f} MiB of the memory that it needs")
            self._entries = {name: each for name, each in self._entries.items() if each not in evicted}
            entry.cost = needed
            return evicted


def _failed(entry: PoolEntry) -> bool:
    return entry.future.done() and entry.future.exception() is not None


def _may_recover(entry: PoolEntry) -> bool:
    """Return True if opening failed for a reason that may pass; faults of the files do not."""
    error = entry.future.exception() if entry.future.done() else None
    return error is not None and not isinstance(error, (CardError, DeploymentTooLarge))


async def _result(entry: PoolEntry, deadline: float) -> LoadedModel:
    name = entry.deployment.name
    try:
        if entry.future.done():
            return entry.future.result()
        return await _within(entry.future, deadline)
    except TimeoutError:
        raise ModelNotReady(f"{name} is still loading.") from None
    except CardError as error:
        raise DeploymentBroken(f"The deployment {name} is broken: {error}") from None
    except ApiError as error:
        raise type(error)(error.message) from None


async def _wait_until_freed(freed: Future[None], deadline: float, message: str) -> None:
    """Wait until a model has no lease any more. Raises `ModelNotReady` at the deadline."""
    try:
        await _within(freed, deadline)
    except TimeoutError:
        raise ModelNotReady(f"{message}.") from None


async def _within(future: Future[Result], deadline: float) -> Result:
    """Wait for a thread's future, which goes on when the wait is cancelled or ends at the deadline."""
    # Not `wait_for`: until Python 3.12 it returns the result of a wait that was cancelled as it ended.
    async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
        return await asyncio.shield(asyncio.wrap_future(future))
