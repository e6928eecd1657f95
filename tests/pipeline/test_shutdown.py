"""A shutdown: requests that wait are refused, running ones finish or end at its limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable

import pytest

from inference.contracts import Event, Text
from inference.errors import ShuttingDown
from inference.pipeline.shutdown import Shutdown
from tests.safety.clock import now, simulate

LIMIT = 20
"""Seconds that running answers may take in these tests."""


async def wait_in(shutdown: Shutdown, seconds: float, *, running: bool = False) -> float:
    """Wait in a part of a request, and return the time at its end."""
    async with shutdown.part(running=running):
        await asyncio.sleep(seconds)
    return now()


async def end_of(request: Awaitable[object]) -> float:
    """Return the time at which a request is refused."""
    with pytest.raises(ShuttingDown):
        await request
    return now()


async def refused_at(shutdown: Shutdown, seconds: float, *, running: bool = False) -> float:
    """Return the time at which a part that would take so long is refused."""
    return await end_of(wait_in(shutdown, seconds, running=running))


async def begin_at(shutdown: Shutdown, seconds: float) -> None:
    await asyncio.sleep(seconds)
    shutdown.begin()


async def texts(*delays: float) -> AsyncGenerator[Event, None]:
    """Yield a text after each delay."""
    for number, delay in enumerate(delays):
        await asyncio.sleep(delay)
        yield Text(str(number))


def test_without_a_shutdown_a_part_takes_as_long_as_it_needs() -> None:
    assert simulate(wait_in(Shutdown(0), 1000)) == 1000


def test_a_part_that_waits_is_refused_at_once() -> None:
    async def scene() -> float:
        shutdown = Shutdown(LIMIT)
        refused, _ = await asyncio.gather(refused_at(shutdown, 1000), begin_at(shutdown, 3))
        return refused

    assert simulate(scene()) == 3


def test_a_part_that_runs_may_finish_before_the_limit() -> None:
    async def scene() -> float:
        shutdown = Shutdown(LIMIT)
        ended, _ = await asyncio.gather(wait_in(shutdown, 3 + LIMIT - 1, running=True), begin_at(shutdown, 3))
        return ended

    assert simulate(scene()) == 3 + LIMIT - 1


def test_a_part_that_runs_ends_at_the_limit() -> None:
    async def scene() -> float:
        shutdown = Shutdown(LIMIT)
        refused, _ = await asyncio.gather(refused_at(shutdown, 1000, running=True), begin_at(shutdown, 3))
        return refused

    assert simulate(scene()) == 3 + LIMIT


def test_a_part_counts_as_running_from_where_it_says_so() -> None:
    async def scene() -> float:
        shutdown = Shutdown(LIMIT)

        async def request() -> None:
            async with shutdown.part() as part:
                part.run()
                await asyncio.sleep(1000)

        ended, _ = await asyncio.gather(end_of(request()), begin_at(shutdown, 3))
        return ended

    assert simulate(scene()) == 3 + LIMIT


def test_a_request_that_comes_after_the_beginning_is_refused() -> None:
    async def scene() -> tuple[bool, float]:
        shutdown = Shutdown(LIMIT)
        shutdown.begin()
        return shutdown.has_begun, await refused_at(shutdown, 1)

    assert simulate(scene()) == (True, 0)


def test_a_second_signal_does_not_move_the_limit() -> None:
    async def scene() -> float:
        shutdown = Shutdown(LIMIT)
        ended, *_ = await asyncio.gather(
            refused_at(shutdown, 1000, running=True), begin_at(shutdown, 3), begin_at(shutdown, 9)
        )
        return ended

    assert simulate(scene()) == 3 + LIMIT


def test_a_timeout_of_the_work_itself_stays_one() -> None:
    async def scene() -> None:
        async with Shutdown(LIMIT).part():
            raise TimeoutError("of an upstream")

    with pytest.raises(TimeoutError, match="of an upstream"):
        simulate(scene())


@pytest.mark.parametrize(
    ("delays", "pieces", "end"),
    [((1, 1, 1), ["0", "1", "2"], 3), ((1, 10, 10, 10), ["0", "1", "2"], 3 + LIMIT), ((5, 1), [], 3)],
    ids=["finishes", "is cut at the limit", "waits for its first event"],
)
def test_a_stream_ends_as_far_as_it_has_come(delays: list[float], pieces: list[str], end: float) -> None:
    async def scene() -> tuple[list[str], float]:
        shutdown, seen = Shutdown(LIMIT), []
        beginning = asyncio.create_task(begin_at(shutdown, 3))
        try:
            async for event in shutdown.stream(texts(*delays), shutdown.part()):
                assert isinstance(event, Text)
                seen.append(event.text)
        except ShuttingDown:
            pass
        ended = now()
        await beginning
        return seen, ended

    assert simulate(scene()) == (pieces, end)


def test_the_first_event_of_a_stream_makes_its_request_run() -> None:
    async def scene() -> float:
        shutdown = Shutdown(LIMIT)

        async def whole() -> None:
            async with shutdown.part() as part:
                async for _ in shutdown.stream(texts(1, 1000), part):
                    pass

        ended, _ = await asyncio.gather(end_of(whole()), begin_at(shutdown, 3))
        return ended

    assert simulate(scene()) == 3 + LIMIT


def test_a_stream_that_is_cut_closes_its_source() -> None:
    closed: list[bool] = []

    async def source() -> AsyncGenerator[Event, None]:
        try:
            await asyncio.sleep(1000)
            yield Text("never")
        finally:
            closed.append(True)

    async def scene() -> None:
        shutdown = Shutdown(LIMIT)
        shutdown.begin()
        with pytest.raises(ShuttingDown):
            await anext(shutdown.stream(source(), shutdown.part()))

    simulate(scene())
    assert closed == [True]
