"""Which models are open: opened when first asked for, within a budget of memory, closed when others need it.

Whoever answers with a model holds a lease of it; a model with a lease is never closed for another.
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

from inference.backends.loaded_models import LoadedModel
from inference.cards.card import CardError, Deployment
from inference.errors import ApiError, DeploymentBroken, DeploymentTooLarge, ModelNotReady

log = logging.getLogger(__name__)

MIB = 1024 * 1024


class PoolFull(Exception):
    """What is in the way of a model is answering just now."""


@dataclass(slots=True, eq=False)
class PoolEntry:
    """A model that is open or being opened, or why it could not be."""

    deployment: Deployment
    cost: int
    future: Future[LoadedModel] = field(default_factory=Future)
    uses: int = 0
    """Requests that answer with it, or wait for it."""
    last: int = 0
    """When it was last asked for; greater is later."""


class Lease:
    """A model that stays open until `release`, or until nobody remembers the lease any more."""

    def __init__(self, model: LoadedModel, release: Callable[[], None]) -> None:
        self.model = model
        self._release: Callable[[], None] | None = release

    def __enter__(self) -> LoadedModel:
        return self.model

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the model free, once."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def __del__(self) -> None:
        # A stream that no client ever began to read is not closed by anybody, only forgotten.
        self.release()


class ModelPool:
    """Opens one model at a time, in a thread of its own."""

    def __init__(
        self,
        budget: int,
        *,
        opener: Callable[[Deployment], LoadedModel],
        closed: Callable[[Deployment], None],
        cost: Callable[[Deployment], int],
        resident: Callable[[], int],
        give_back: Callable[[], None] = lambda: None,
    ) -> None:
        """`budget`: bytes that open models may take together. `cost`: bytes that a deployment is going to
        take; what `resident` says of the process before and after is believed where it is more. One that
        costs nothing runs elsewhere: nobody gives way to it, and it to nobody. `closed` is told of what gave
        way; `give_back` hands to the system what was freed."""
        self.budget = budget
        self._opener = opener
        self._closed = closed
        self._cost = cost
        self._resident = resident
        self._give_back = give_back
        self._seats: dict[str, PoolEntry] = {}
        self._clock = count(1)
        # Leases are released by the garbage collector too, which may run while this thread holds the lock.
        self._lock = RLock()
        self._freed: Future[None] = Future()
        self._loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="load")

    async def lease(self, deployment: Deployment, *, patience: float) -> Lease:
        """The running model, opened if it is not.

        Raises `ModelNotReady` when that takes longer than `patience` seconds (opening goes on) or models
        that are answering take the memory for so long; `DeploymentTooLarge` when it can never fit;
        `DeploymentBroken` when the files are not what the card says.
        """
        ends = time.monotonic() + patience
        while True:
            freed, seat = self._freed, self._take(deployment)
            try:
                return Lease(await _result(seat, ends), partial(self._give, seat))
            except PoolFull as crowded:
                self._give(seat)
                await _moment(freed, ends, f"{deployment.name} cannot be opened now: {crowded}")
            except BaseException:
                self._give(seat)
                raise

    def state(self, deployment: Deployment) -> str:
        """`closed` before the first request and after giving way, then `loading`, then `open` or `broken`."""
        seat = self._seats.get(deployment.name)
        if seat is None or seat.deployment != deployment:
            return "closed"
        if not seat.future.done():
            return "loading"
        error = seat.future.exception()
        if error is None:
            return "open"
        return "closed" if isinstance(error, (PoolFull, ModelNotReady)) else "broken"

    @property
    def used(self) -> int:
        """Bytes that the models take which are open or being opened."""
        with self._lock:
            return sum(seat.cost for seat in self._seats.values() if not _failed(seat))

    @property
    def opened(self) -> list[LoadedModel]:
        """The models that are open now."""
        with self._lock:
            seats = list(self._seats.values())
        return [seat.future.result() for seat in seats if seat.future.done() and not _failed(seat)]

    def close(self) -> None:
        """Closes every open model and waits for one that is still loading."""
        self._loader.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            seats, self._seats = list(self._seats.values()), {}
        for seat in seats:
            if not seat.future.done():
                seat.future.set_exception(ModelNotReady("The endpoint is being closed."))
            elif not _failed(seat):
                self._shut(seat)

    def _take(self, deployment: Deployment) -> PoolEntry:
        """The deployment's seat, with one use more; opening begins where it has not."""
        with self._lock:
            seat = self._seats.get(deployment.name)
            if seat is not None and seat.deployment != deployment:
                # Other files under the same name: what is open of the old ones gives way like any other.
                self._seats[f"{deployment.name} {id(seat)}"] = self._seats.pop(deployment.name)
                seat = None
            if seat is None or _may_heal(seat):
                seat = PoolEntry(deployment, 0)
                self._seats[deployment.name] = seat
                self._loader.submit(self._load, seat)
            seat.uses += 1
            seat.last = next(self._clock)
            return seat

    def _give(self, seat: PoolEntry) -> None:
        with self._lock:
            seat.uses -= 1
            if seat.uses or _failed(seat):
                return
            freed, self._freed = self._freed, Future()
        freed.set_result(None)

    def _load(self, seat: PoolEntry) -> None:
        try:
            self._make_room(seat)
            seat.future.set_result(self._open(seat))
        except BaseException as error:  # noqa: BLE001  whoever waits is told
            seat.future.set_exception(error)

    def _open(self, seat: PoolEntry) -> LoadedModel:
        before = self._resident()
        opened = self._opener(seat.deployment)
        self._give_back()
        took = self._resident() - before
        if seat.cost and took > seat.cost:
            log.info("%s takes %d MiB, %d were expected", seat.deployment.name, took // MIB, seat.cost // MIB)
            seat.cost = took
        return opened

    def _shut(self, seat: PoolEntry) -> None:
        seat.future.result().close()
        seat.future = Future()  # the old one remembers the model
        self._closed(seat.deployment)

    def _make_room(self, seat: PoolEntry) -> None:
        needed = self._cost(seat.deployment)
        if needed > self.budget:
            raise DeploymentTooLarge(
                f"{seat.deployment.name} takes about {needed / MIB:.0f} MiB of memory, "
                f"INFERENCE_MEMORY_MB is {self.budget // MIB}."
            )
        for victim in self._victims(seat, needed):
            log.info("%s is closed to make room for %s", victim.deployment.name, seat.deployment.name)
            self._shut(victim)
            self._give_back()

    def _victims(self, seat: PoolEntry, needed: int) -> list[PoolEntry]:
        """Takes away the longest unused models that nobody uses, until what is needed fits.

        Raises `PoolFull`, and takes none away, where that does not help.
        """
        if not needed:
            return []
        with self._lock:
            lacking, victims = needed - (self.budget - self.used), []
            done = (s for s in self._seats.values() if s.future.done() and not _failed(s))
            idle = (s for s in done if s.cost and not s.uses)
            for one in sorted(idle, key=lambda one: one.last):
                if lacking <= 0:
                    break
                victims.append(one)
                lacking -= one.cost
            if lacking > 0:
                raise PoolFull(f"models that are answering take {lacking / MIB:.0f} MiB of what it needs")
            self._seats = {name: one for name, one in self._seats.items() if one not in victims}
            seat.cost = needed
            return victims


def _failed(seat: PoolEntry) -> bool:
    return seat.future.done() and seat.future.exception() is not None


def _may_heal(seat: PoolEntry) -> bool:
    """Whether another try can help: a failure of the files cannot, one of the machine can."""
    error = seat.future.exception() if seat.future.done() else None
    return error is not None and not isinstance(error, (CardError, DeploymentTooLarge))


async def _result(seat: PoolEntry, ends: float) -> LoadedModel:
    name = seat.deployment.name
    try:
        if seat.future.done():
            return seat.future.result()
        patience = max(0.0, ends - time.monotonic())
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(seat.future)), patience)
    except TimeoutError:
        raise ModelNotReady(f"{name} is still loading.") from None
    except CardError as error:
        raise DeploymentBroken(f"The deployment {name} is broken: {error}") from None
    except ApiError as error:
        raise type(error)(error.message) from None


async def _moment(freed: Future[None], ends: float, message: str) -> None:
    """Waits until some model is no longer in use. Raises `ModelNotReady` at the end of patience."""
    try:
        patience = max(0.0, ends - time.monotonic())
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(freed)), patience)
    except TimeoutError:
        raise ModelNotReady(f"{message}.") from None
