"""Microbatches of a model that doubles numbers; an event delays it where the sequence of runs matters."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from threading import Event, current_thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.engine.microbatch import MIN_SIZE_RATIO, Microbatch
from inference.errors import Busy, ModelNotReady

Floats = NDArray[np.float32]


class Doubler:
    """A model that doubles numbers on a worker thread, and refuses negative ones."""

    def __init__(self) -> None:
        self.runs: list[list[int]] = []
        self.threads: set[str] = set()
        self.started = Event()
        self.open = Event()
        self.open.set()

    def __call__(self, numbers: Sequence[int]) -> Floats:
        self.runs.append(list(numbers))
        self.threads.add(current_thread().name)
        self.started.set()
        assert self.open.wait(60)
        if min(numbers) < 0:
            raise ValueError(f"{min(numbers)} is negative")
        return np.array([[2 * number, 1] for number in numbers], np.float32)

    async def wait_for_run(self) -> None:
        """Return once the next run has started; it lasts until `open` is set."""
        await asyncio.to_thread(self.started.wait)


@contextmanager
def batching(
    model: Callable[[Sequence[int]], Floats], *, budget: int = 64, queue_limit: int = 100
) -> Iterator[Microbatch[int]]:
    batch = Microbatch(model, size=abs, budget=budget, queue_limit=queue_limit, name="doubler")
    try:
        yield batch
    finally:
        batch.close()


async def doubled(batch: Microbatch[int], *numbers: int) -> list[float]:
    return [float(row[0]) for row in await batch.submit(numbers)]


@pytest.fixture
async def busy() -> AsyncIterator[tuple[Doubler, Microbatch[int], "asyncio.Task[list[float]]"]]:
    """A worker in the middle of a run of the number 50, so that the next requests wait."""
    model = Doubler()
    model.open.clear()
    with batching(model) as batch:
        running = asyncio.create_task(doubled(batch, 50))
        await model.wait_for_run()
        yield model, batch, running
        model.open.set()


async def settle(*tasks: "asyncio.Task[list[float]]") -> None:
    """Let tasks run as far as they can without the worker."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_lone_input_runs_alone_on_the_worker() -> None:
    model = Doubler()
    with batching(model) as batch:
        assert await doubled(batch, 7) == [14]
    assert model.runs == [[7]]
    assert model.threads == {"doubler"}


async def test_request_is_sorted_split_by_budget_and_returned_in_its_sequence() -> None:
    model = Doubler()
    with batching(model, budget=60) as batch:
        assert await doubled(batch, 30, 10, 29, 9, 11, 28, 10, 100) == [60, 20, 58, 18, 22, 56, 20, 200]
    assert model.runs == [[100], [29, 30], [28], [9, 10, 10, 11]]


async def test_input_over_the_budget_runs_alone() -> None:
    model = Doubler()
    with batching(model, budget=10) as batch:
        assert await doubled(batch, 40, 39) == [80, 78]
    assert model.runs == [[40], [39]]


async def test_waiting_requests_share_runs(
    busy: tuple[Doubler, Microbatch[int], "asyncio.Task[list[float]]"],
) -> None:
    model, batch, running = busy
    tasks = [asyncio.create_task(doubled(batch, number)) for number in (10, 11, 12)]
    await settle(*tasks)
    model.open.set()
    assert await asyncio.gather(running, *tasks) == [[100], [20], [22], [24]]
    assert model.runs == [[50], [10, 11, 12]]


async def test_large_request_does_not_delay_a_small_one(
    busy: tuple[Doubler, Microbatch[int], "asyncio.Task[list[float]]"],
) -> None:
    model, batch, _ = busy
    large = asyncio.create_task(doubled(batch, *[60] * 20))
    small = asyncio.create_task(doubled(batch, 5))
    await settle(large, small)
    model.open.set()
    await asyncio.gather(large, small)
    assert model.runs.index([5]) == 2


async def test_bad_input_fails_its_own_request_only(
    busy: tuple[Doubler, Microbatch[int], "asyncio.Task[list[float]]"],
) -> None:
    model, batch, _ = busy
    tasks = [asyncio.create_task(doubled(batch, *numbers)) for numbers in ((10,), (10, -10), (11,))]
    await settle(*tasks)
    model.open.set()
    good, bad, better = await asyncio.gather(*tasks, return_exceptions=True)
    assert (good, better) == ([20], [22])
    assert isinstance(bad, ValueError)
    assert await doubled(batch, 3) == [6]


async def test_request_cancelled_while_it_waits_never_runs(
    busy: tuple[Doubler, Microbatch[int], "asyncio.Task[list[float]]"],
) -> None:
    model, batch, _ = busy
    cancelled, kept = (asyncio.create_task(doubled(batch, number)) for number in (10, 11))
    await settle(cancelled, kept)
    cancelled.cancel()
    await settle(cancelled)
    model.open.set()
    assert await kept == [22]
    assert cancelled.cancelled()
    assert model.runs == [[50], [11]]


async def test_request_cancelled_while_it_runs_leaves_the_others_alone(
    busy: tuple[Doubler, Microbatch[int], "asyncio.Task[list[float]]"],
) -> None:
    model, batch, running = busy
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    model.open.set()
    assert await doubled(batch, 4) == [8]


async def test_full_queue_refuses() -> None:
    model = Doubler()
    model.open.clear()
    with batching(model, queue_limit=1) as batch:
        tasks = [asyncio.create_task(doubled(batch, 1))]
        await model.wait_for_run()
        tasks.append(asyncio.create_task(doubled(batch, 2)))
        await settle(*tasks)
        with pytest.raises(Busy, match="1 requests already wait"):
            await doubled(batch, 3)
        model.open.set()
        assert await asyncio.gather(*tasks) == [[2], [4]]


async def test_closing_fails_waiting_requests_and_finishes_running_ones() -> None:
    model = Doubler()
    model.open.clear()
    with batching(model) as batch:
        running = asyncio.create_task(doubled(batch, 1))
        await model.wait_for_run()
        waiting = asyncio.create_task(doubled(batch, 2))
        await settle(waiting)
        closing = asyncio.create_task(asyncio.to_thread(batch.close))
        with pytest.raises(ModelNotReady):
            await waiting
        model.open.set()
        await closing
        assert await running == [2]
        with pytest.raises(ModelNotReady):
            await batch.submit([3])


async def test_empty_request_is_a_value_error() -> None:
    with batching(Doubler()) as batch, pytest.raises(ValueError, match="nothing"):
        await batch.submit([])


def test_closed_event_loop_does_not_stop_the_worker() -> None:
    model = Doubler()
    model.open.clear()
    with batching(model) as batch:
        loop = asyncio.new_event_loop()
        task = loop.create_task(doubled(batch, 1))
        loop.run_until_complete(model.wait_for_run())
        task.cancel()
        loop.run_until_complete(asyncio.wait([task]))
        loop.close()
        model.open.set()
        assert asyncio.run(doubled(batch, 2)) == [4]


@settings(deadline=None)
@given(
    requests=st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=12), min_size=1, max_size=6),
    budget=st.integers(1, 120),
)
def test_any_mix_of_requests_is_answered_within_the_budget(requests: list[list[int]], budget: int) -> None:
    model = Doubler()

    async def answer() -> list[list[float]]:
        with batching(model, budget=budget) as batch:
            return await asyncio.gather(*(doubled(batch, *numbers) for numbers in requests))

    assert asyncio.run(answer()) == [[2 * number for number in numbers] for numbers in requests]
    assert sorted(chain(*model.runs)) == sorted(chain(*requests))
    for run in model.runs:
        assert len(run) == 1 or max(run) * len(run) <= budget
        assert min(run) >= max(run) * MIN_SIZE_RATIO
