"""Cleanup under cancellation that repeats itself, and time limits that cancel once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import anyio
import pytest

from inference.cancellation import cancel, finish, within
from tests.safety.clock import now, simulate
from tests.support.cancelling import Steps, cancel_repeatedly, start

WHOLE = ["cleanup begins", "cleanup ends"]


async def test_cleanup_returns_its_result_and_raises_its_error() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    assert await finish(Steps().run("result")) == "result"
    with pytest.raises(ValueError, match="broken"):
        await finish(fail())


async def test_cleanup_runs_to_its_end_before_a_repeated_cancellation_is_raised() -> None:
    steps = Steps()
    task = await start(finish(steps.run()))
    await cancel_repeatedly(task)
    assert task.cancelled()
    assert steps.noted == WHOLE


async def test_cleanup_runs_to_its_end_in_a_cancel_scope_of_anyio() -> None:
    steps = Steps()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await finish(steps.run())

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await asyncio.sleep(0)
        group.cancel_scope.cancel()
    assert steps.noted == WHOLE


async def test_a_generator_is_closed_to_its_end() -> None:
    steps = Steps()

    async def events() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            await steps.run()

    stream = events()
    await anext(stream)
    await cancel_repeatedly(await start(finish(stream.aclose())))
    assert steps.noted == WHOLE


async def test_the_error_of_cleanup_gives_precedence_to_the_cancellation() -> None:
    async def fail() -> None:
        await Steps().run()
        raise ValueError("broken")

    task = await start(finish(fail()))
    await cancel_repeatedly(task)
    assert task.cancelled()


async def test_tasks_are_cancelled_once_and_waited_for() -> None:
    steps = Steps()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await steps.run()

    tasks = [await start(work()), await start(work())]
    first = await start(cancel(*tasks))
    second = await start(cancel(*tasks))
    await cancel_repeatedly(first)
    await second
    assert [task.cancelled() for task in tasks] == [True, True]
    assert steps.noted == sorted(WHOLE * 2)


async def test_errors_of_cancelled_tasks_are_dropped() -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("broken")

    await cancel(await start(work()))


def test_work_beyond_its_time_has_ended_when_that_is_raised() -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(1)

    async def limited() -> float:
        with pytest.raises(TimeoutError):
            await within(3, work())
        return now()

    assert simulate(limited()) == 4


def test_work_is_cancelled_once_by_time_and_its_caller_together() -> None:
    noted: list[float] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(2)
            noted.append(now())

    async def limited() -> None:
        task = asyncio.create_task(within(3, work()))
        await asyncio.sleep(4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    simulate(limited())
    assert noted == [5]


async def test_work_within_its_time_gives_its_result_and_its_error() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    assert await within(60, Steps().run("result")) == "result"
    with pytest.raises(ValueError, match="broken"):
        await within(None, fail())
