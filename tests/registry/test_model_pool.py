"""Models within a budget of memory: who is closed for whom, and who never is."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from inference.backends.loaded_models import LoadedModel, OpenModel
from inference.cards.card import CardError, Deployment
from inference.errors import DeploymentBroken, DeploymentTooLarge, ModelNotReady
from inference.registry.model_pool import Lease, ModelPool
from tests.support.cards import EMBEDDINGS, deployment

SIZES = {"small": 20, "other": 20, "large": 50, "third": 30, "huge": 101, "elsewhere": 0}


class Opened(OpenModel):
    """Stands for a running model: records when it is closed."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self._log = log

    def close(self) -> None:
        self._log.append(f"-{self.name}")


class House:
    """A residency of 100 bytes, and what was opened (+) and closed (-) in it."""

    def __init__(self, root: Path) -> None:
        self.log: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.memory = 0
        self.takes: dict[str, int] = {}
        self.error: Exception | None = None
        self.sizes = dict(SIZES)
        self.deployments = {name: deployment(root, EMBEDDINGS, name=name) for name in SIZES}
        self.residency = ModelPool(
            100,
            opener=self._open,
            closed=lambda closed: self.log.append(f"gone {closed.name}"),
            cost=lambda asked: self.sizes[asked.name],
            resident=lambda: self.memory,
        )

    def _open(self, asked: Deployment) -> LoadedModel:
        assert self.gate.wait(60)
        self.log.append(f"+{asked.name}")
        self.memory += self.takes.get(asked.name, 0)
        if self.error:
            raise self.error
        return cast(LoadedModel, Opened(asked.name, self.log))

    async def lease(self, name: str, patience: float = 30) -> Lease:
        return await self.residency.lease(self.deployments[name], patience=patience)

    async def use(self, name: str) -> None:
        (await self.lease(name)).release()

    def open(self) -> set[str]:
        return {name for name, found in self.deployments.items() if self.residency.state(found) == "open"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    made.gate.set()
    made.residency.close()


async def test_what_fits_stays_open(house: House) -> None:
    for name in ("small", "other", "large", "small"):
        await house.use(name)
    assert house.log == ["+small", "+other", "+large"]
    assert house.residency.used == 90


async def test_the_longest_unused_gives_way_and_no_more_than_has_to(house: House) -> None:
    for name in ("small", "large", "other", "small"):
        await house.use(name)
    await house.use("third")
    assert house.open() == {"other", "small", "third"}
    assert house.log[3:] == ["-large", "gone large", "+third"]


async def test_one_that_runs_elsewhere_needs_no_room_and_gives_none(house: House) -> None:
    house.takes = {"elsewhere": 70}  # what its backend imports is nobody's model
    held = await house.lease("large")
    for name in ("elsewhere", "small", "third"):
        await house.use(name)
    assert house.open() == {"large", "small", "third", "elsewhere"}
    assert house.residency.used == 100
    await house.use("other")
    assert house.open() == {"large", "third", "other", "elsewhere"}
    held.release()


async def test_it_opens_where_models_took_more_than_there_is(house: House) -> None:
    house.takes = {"large": 140}
    held = await house.lease("large")
    await house.use("elsewhere")
    assert house.open() == {"large", "elsewhere"}
    held.release()


async def test_a_model_with_a_lease_is_never_closed(house: House) -> None:
    lease = await house.lease("large")
    await house.use("small")
    await house.use("other")
    await house.use("small")
    house.sizes["other"] = 60
    house.deployments["other"] = Deployment(house.deployments["other"].card, Path("elsewhere"))
    with pytest.raises(ModelNotReady, match="other cannot be opened now: models that are answering"):
        await house.lease("other", patience=0.05)
    assert "large" in house.open()
    lease.release()


async def test_waiting_for_room_ends_when_a_lease_does(house: House) -> None:
    held = [await house.lease("large"), await house.lease("small")]
    house.sizes["other"] = 60
    waiting = asyncio.create_task(house.lease("other"))
    await asyncio.sleep(0)
    held[1].release()
    await asyncio.sleep(0)
    held[0].release()
    lease = await waiting
    assert house.open() == {"other", "small"}
    lease.release()


async def test_several_requests_hold_one_model(house: House) -> None:
    one, two = await asyncio.gather(house.lease("large"), house.lease("large"))
    assert house.log == ["+large"]
    assert one.model is two.model
    one.release()
    one.release()
    house.sizes["other"] = 60
    with pytest.raises(ModelNotReady):
        await house.lease("other", patience=0.05)
    two.release()
    await house.use("other")


async def test_a_lease_that_is_forgotten_is_released(house: House) -> None:
    lease = await house.lease("large")
    house.sizes["other"] = 60
    del lease
    gc.collect()
    await house.use("other")
    assert house.open() == {"other"}


async def test_what_can_never_fit_is_refused_with_both_numbers(house: House) -> None:
    await house.use("small")
    with pytest.raises(DeploymentTooLarge, match="huge takes about 0 MiB of memory, INFERENCE_"):
        await house.lease("huge")
    assert house.open() == {"small"}, "nothing gave way for it"
    assert house.residency.state(house.deployments["huge"]) == "broken"


async def test_what_is_measured_counts_where_it_is_more(house: House) -> None:
    house.takes = {"small": 55, "other": 5}
    await house.use("small")
    await house.use("other")
    assert house.residency.used == 75
    await house.use("large")
    assert house.open() == {"other", "large"}


async def test_memory_comes_back_when_opening_fails(house: House) -> None:
    house.error = CardError("no graph")
    with pytest.raises(DeploymentBroken):
        await house.lease("large")
    house.error = None
    assert house.residency.used == 0
    with pytest.raises(DeploymentBroken):
        await house.lease("large")
    assert house.log == ["+large"]


async def test_other_files_under_the_same_name_are_another_model(house: House) -> None:
    await house.use("small")
    house.deployments["small"] = Deployment(house.deployments["small"].card, Path("new"))
    assert house.residency.state(house.deployments["small"]) == "closed"
    await house.use("small")
    assert house.log == ["+small", "+small"]
    assert house.residency.used == 40
    await house.use("large")
    await house.use("other")
    assert house.log[2:] == ["+large", "-small", "gone small", "+other"]


async def test_giving_up_while_it_loads_leaves_nothing_behind(house: House) -> None:
    house.gate.clear()
    task = asyncio.create_task(house.lease("large"))
    with pytest.raises(ModelNotReady, match="still loading"):
        await house.lease("large", patience=0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    house.gate.set()
    await house.use("large")
    house.sizes["other"] = 60
    await house.use("other")
    assert house.open() == {"other"}


async def test_closing_tells_those_who_wait(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.gate.clear()
    first = asyncio.create_task(house.lease("small"))
    second = asyncio.create_task(house.lease("other"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(asyncio.to_thread(house.residency.close))
    await asyncio.sleep(0)
    house.gate.set()
    await closing
    with pytest.raises(ModelNotReady, match="being closed"):
        await second
    await asyncio.gather(first, return_exceptions=True)
    assert house.log[-2:] == ["-small", "gone small"]


@pytest.mark.parametrize("seed", range(3))
async def test_many_at_once_never_exceed_the_budget_nor_wait_for_each_other(house: House, seed: int) -> None:
    """Everybody gets an answer, and whoever has a lease has an open model."""
    dice = random.Random(seed)
    names = ["small", "other", "large"]
    house.sizes.update(small=40, other=40)

    async def ask() -> None:
        for _ in range(20):
            lease = await house.lease(dice.choice(names))
            name = cast(Opened, lease.model).name
            assert house.residency.used <= 100
            await asyncio.sleep(0)
            assert house.log.count(f"+{name}") == house.log.count(f"-{name}") + 1
            lease.release()

    await asyncio.wait_for(asyncio.gather(*(ask() for _ in range(8))), 60)
