"""A request until its answer is over: its client watched, its resources released."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from inference.api.http_types import ClientGone
from inference.errors import Busy
from inference.pipeline.exchange import WATCH_SECONDS, Exchange
from tests.safety.clock import now, simulate
from tests.support.cancelling import Steps, cancel_repeatedly, start
from tests.support.exchanges import exchange_of, http_request


def leaving(after: float) -> Exchange:
    """Return the exchange of a client that hangs up after so many seconds of simulated time."""

    async def gone() -> bool:
        return now() >= after

    return exchange_of(replace(http_request("chat/completions"), gone=gone))


def others() -> set[asyncio.Task[object]]:
    """Return the tasks beside the current one."""
    current = asyncio.current_task()
    return {task for task in asyncio.all_tasks() if task is not current}


async def test_work_that_ends_gives_its_result_and_leaves_no_task() -> None:
    async def work() -> str:
        return "done"

    assert await exchange_of(http_request("info")).unless_gone(work()) == "done"
    assert others() == set()


def test_a_client_that_hangs_up_is_noticed_at_the_next_look_and_the_work_given_up() -> None:
    ends: list[float] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ends.append(now())

    async def journey() -> None:
        with pytest.raises(ClientGone):
            await leaving(2.5 * WATCH_SECONDS).unless_gone(work())
        assert others() == set()

    simulate(journey())
    assert ends == [3 * WATCH_SECONDS]


def test_work_that_is_done_counts_although_its_client_hung_up() -> None:
    async def work() -> str:
        await asyncio.sleep(WATCH_SECONDS / 2)
        return "done"

    assert simulate(leaving(0).unless_gone(work())) == "done"


def test_work_that_cleans_up_is_waited_for_before_the_client_s_leaving_is_raised() -> None:
    ends: list[float] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(1)
            ends.append(now())

    async def journey() -> float:
        with pytest.raises(ClientGone):
            await leaving(0).unless_gone(work())
        return now()

    assert simulate(journey()) == WATCH_SECONDS + 1
    assert ends == [WATCH_SECONDS + 1]


async def test_work_is_given_up_when_the_exchange_itself_is_cancelled() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(exchange_of(http_request("info")).unless_gone(work()))
    await started.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()


async def test_a_refusal_of_the_work_is_raised_as_it_is() -> None:
    async def work() -> None:
        raise Busy("full")

    with pytest.raises(Busy, match="full"):
        await exchange_of(http_request("info")).unless_gone(work())


async def test_of_refusals_together_the_first_is_raised_alone() -> None:
    async def refuse(error: Exception) -> None:
        raise error

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(refuse(Busy("first")))
            group.create_task(refuse(ValueError("second")))

    with pytest.raises(Busy, match="first"):
        await exchange_of(http_request("info")).unless_gone(work())


def test_the_end_releases_the_resources_in_reverse_before_it_writes_the_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exchange = exchange_of(http_request("info", method="GET"))
    lines: list[tuple[str, int]] = []

    def release(name: str) -> None:
        lines.append((name, len(caplog.records)))

    exchange.resources.callback(release, "lease")
    exchange.resources.callback(release, "slot")
    with caplog.at_level(logging.INFO, "inference.requests"):
        exchange.end(200)
    assert lines == [("slot", 0), ("lease", 0)]
    assert [record.getMessage().startswith("GET /info -> 200 ok") for record in caplog.records] == [True]


def test_resources_are_released_once_however_often_the_exchange_ends() -> None:
    exchange = exchange_of(http_request("info"))
    released: list[str] = []
    exchange.resources.callback(released.append, "lease")
    exchange.end(200)
    exchange.resources.close()
    exchange.end(500)
    assert released == ["lease"]


async def test_an_abandoned_exchange_closes_its_stream_to_the_end_and_releases_its_resources() -> None:
    steps, abandoned = Steps(), exchange_of(http_request("chat/completions"))

    async def body() -> AsyncGenerator[bytes, None]:
        try:
            yield b"a"
        finally:
            await steps.run()

    abandoned.resources.callback(steps.noted.append, "released")
    abandoned.stream = body()
    await anext(abandoned.stream)
    await cancel_repeatedly(await start(abandoned.abandon()))
    assert steps.noted == ["cleanup begins", "cleanup ends", "released"]
