"""The pool of open models: leases, eviction within the memory budget, and waiting for room."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import pytest

from inference.backends.loaded_models import LoadedModel, OpenModel
from inference.cards.card import CardError, Deployment
from inference.errors import DeploymentBroken, DeploymentTooLarge, ModelNotReady
from inference.registry import model_pool
from inference.registry.model_pool import Lease, ModelPool
from tests.support.cards import EMBEDDINGS, deployment

SIZES = {"small": 20, "other": 20, "large": 50, "third": 30, "huge": 101, "remote": 0}


class FakeModel(OpenModel):
    """An open model that logs its end."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self._log = log

    def close(self) -> None:
        self._log.append(f"-{self.name}")


class Pool:
    """A pool of 100 bytes, and a log of the models opened (+) and closed (-)."""

    def __init__(self, root: Path) -> None:
        self.log: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.memory = 0
        self.takes: dict[str, int] = {}
        self.error: Exception | None = None
        self.sizes = dict(SIZES)
        self.deployments = {name: deployment(root, EMBEDDINGS, name=name) for name in SIZES}
        self.pool = ModelPool(
            100,
            open_model=self._open,
            on_closed=lambda closed: self.log.append(f"closed {closed.name}"),
            estimate=lambda opened: self.sizes[opened.name],
            resident=lambda: self.memory,
        )

    def _open(self, opened: Deployment) -> LoadedModel:
        assert self.gate.wait(60)
        self.log.append(f"+{opened.name}")
        self.memory += self.takes.get(opened.name, 0)
        if self.error:
            raise self.error
        return cast(LoadedModel, FakeModel(opened.name, self.log))

    async def lease(self, name: str, patience: float = 30) -> Lease:
        return await self.pool.lease(self.deployments[name], patience=patience)

    async def use(self, name: str) -> None:
        (await self.lease(name)).release()

    def open(self) -> set[str]:
        return {name for name, found in self.deployments.items() if self.pool.state(found) == "open"}


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[Pool]:
    made = Pool(tmp_path)
    yield made
    made.gate.set()
    made.pool.close()


async def test_models_within_the_budget_stay_open(pool: Pool) -> None:
    for name in ("small", "other", "large", "small"):
        await pool.use(name)
    assert pool.log == ["+small", "+other", "+large"]
    assert pool.pool.used == 90


async def test_the_least_recently_used_is_evicted_and_no_more_than_needed(pool: Pool) -> None:
    for name in ("small", "large", "other", "small"):
        await pool.use(name)
    await pool.use("third")
    assert pool.open() == {"other", "small", "third"}
    assert pool.log[3:] == ["-large", "closed large", "+third"]


async def test_a_remote_model_needs_no_room_and_is_not_evicted(pool: Pool) -> None:
    pool.takes = {"remote": 70}  # its imports count for no model
    lease = await pool.lease("large")
    for name in ("remote", "small", "third"):
        await pool.use(name)
    assert pool.open() == {"large", "small", "third", "remote"}
    assert pool.pool.used == 100
    await pool.use("other")
    assert pool.open() == {"large", "third", "other", "remote"}
    lease.release()


async def test_a_remote_model_opens_when_the_budget_is_exceeded(pool: Pool) -> None:
    pool.takes = {"large": 140}
    lease = await pool.lease("large")
    await pool.use("remote")
    assert pool.open() == {"large", "remote"}
    lease.release()


async def test_a_model_with_a_lease_is_never_evicted(pool: Pool) -> None:
    lease = await pool.lease("large")
    await pool.use("small")
    await pool.use("other")
    await pool.use("small")
    pool.sizes["other"] = 60
    pool.deployments["other"] = Deployment(pool.deployments["other"].card, Path("other"))
    with pytest.raises(ModelNotReady, match="other cannot be opened now: models in use"):
        await pool.lease("other", patience=0.05)
    assert "large" in pool.open()
    lease.release()


async def test_waiting_for_room_ends_when_a_lease_is_released(pool: Pool) -> None:
    leases = [await pool.lease("large"), await pool.lease("small")]
    pool.sizes["other"] = 60
    waiting = asyncio.create_task(pool.lease("other"))
    await asyncio.sleep(0)
    leases[1].release()
    await asyncio.sleep(0)
    leases[0].release()
    lease = await waiting
    assert pool.open() == {"other", "small"}
    lease.release()


async def test_several_leases_share_one_model(pool: Pool) -> None:
    one, two = await asyncio.gather(pool.lease("large"), pool.lease("large"))
    assert pool.log == ["+large"]
    assert one.model is two.model
    one.release()
    one.release()
    pool.sizes["other"] = 60
    with pytest.raises(ModelNotReady):
        await pool.lease("other", patience=0.05)
    two.release()
    await pool.use("other")


async def test_a_lease_is_released_at_the_end_of_its_block_and_only_once(pool: Pool) -> None:
    lease = await pool.lease("large")
    with lease as model, await pool.lease("large") as other:
        assert model is other
        lease.release()
        lease.release()
        pool.sizes["other"] = 60
        with pytest.raises(ModelNotReady):
            await pool.lease("other", patience=0.05)
    await pool.use("other")
    assert pool.open() == {"other"}


async def test_an_exit_stack_releases_a_lease_when_its_block_raises(pool: Pool) -> None:
    pool.sizes["other"] = 60

    async def failing_request() -> None:
        async with AsyncExitStack() as stack:
            stack.enter_context(await pool.lease("large"))
            with pytest.raises(ModelNotReady):
                await pool.lease("other", patience=0.05)
            raise RuntimeError("failed")

    with pytest.raises(RuntimeError, match="failed"):
        await failing_request()
    await pool.use("other")
    assert pool.open() == {"other"}


async def test_a_lease_collected_as_garbage_is_released(pool: Pool) -> None:
    lease = await pool.lease("large")
    pool.sizes["other"] = 60
    del lease
    gc.collect()
    await pool.use("other")
    assert pool.open() == {"other"}


async def test_a_model_over_the_budget_is_refused_with_both_numbers(pool: Pool) -> None:
    await pool.use("small")
    with pytest.raises(DeploymentTooLarge, match="huge takes about 0 MiB of memory, INFERENCE_"):
        await pool.lease("huge")
    assert pool.open() == {"small"}, "nothing was evicted for it"
    assert pool.pool.state(pool.deployments["huge"]) == "broken"


async def test_the_measured_memory_counts_where_it_exceeds_the_estimate(pool: Pool) -> None:
    pool.takes = {"small": 55, "other": 5}
    await pool.use("small")
    await pool.use("other")
    assert pool.pool.used == 75
    await pool.use("large")
    assert pool.open() == {"other", "large"}


async def test_a_failed_opening_takes_no_memory(pool: Pool) -> None:
    pool.error = CardError("no graph")
    with pytest.raises(DeploymentBroken):
        await pool.lease("large")
    pool.error = None
    assert pool.pool.used == 0
    with pytest.raises(DeploymentBroken):
        await pool.lease("large")
    assert pool.log == ["+large"]


async def test_other_files_under_the_same_name_are_another_model(pool: Pool) -> None:
    await pool.use("small")
    pool.deployments["small"] = Deployment(pool.deployments["small"].card, Path("new"))
    assert pool.pool.state(pool.deployments["small"]) == "closed"
    await pool.use("small")
    assert pool.log == ["+small", "+small"]
    assert pool.pool.used == 40
    await pool.use("large")
    await pool.use("other")
    assert pool.log[2:] == ["+large", "-small", "closed small", "+other"]


async def test_a_cancelled_request_leaves_no_lease(pool: Pool) -> None:
    pool.gate.clear()
    task = asyncio.create_task(pool.lease("large"))
    with pytest.raises(ModelNotReady, match="still loading"):
        await pool.lease("large", patience=0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    pool.gate.set()
    await pool.use("large")
    pool.sizes["other"] = 60
    await pool.use("other")
    assert pool.open() == {"other"}


async def test_closing_refuses_the_requests_that_wait(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    pool.gate.clear()
    first = asyncio.create_task(pool.lease("small"))
    second = asyncio.create_task(pool.lease("other"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(asyncio.to_thread(pool.pool.close))
    await asyncio.sleep(0)
    pool.gate.set()
    await closing
    with pytest.raises(ModelNotReady, match="shutting down"):
        await second
    await asyncio.gather(first, return_exceptions=True)
    assert pool.log[-2:] == ["-small", "closed small"]


@pytest.mark.parametrize("seed", range(3))
async def test_concurrent_leases_stay_within_the_budget_and_never_deadlock(pool: Pool, seed: int) -> None:
    """Every request gets a lease, and every lease has an open model."""
    dice = random.Random(seed)
    names = ["small", "other", "large"]
    pool.sizes.update(small=40, other=40)

    async def lease_repeatedly() -> None:
        for _ in range(20):
            lease = await pool.lease(dice.choice(names))
            name = cast(FakeModel, lease.model).name
            assert pool.pool.used <= 100
            await asyncio.sleep(0)
            assert pool.log.count(f"+{name}") == pool.log.count(f"-{name}") + 1
            lease.release()

    await asyncio.wait_for(asyncio.gather(*(lease_repeatedly() for _ in range(8))), 60)


async def test_a_wait_that_is_cancelled_as_the_model_opens_is_cancelled() -> None:
    for steps in range(8):
        future: Future[int] = Future()
        waiting = asyncio.create_task(model_pool._within(future, time.monotonic() + 60))
        await asyncio.sleep(0)
        future.set_result(1)
        for _ in range(steps):
            await asyncio.sleep(0)
        if waiting.cancel():
            await asyncio.wait({waiting})
            assert waiting.cancelled(), steps
