"""Cancellation that no cleanup is lost to.

A task may be cancelled again while it cleans up: a cancel scope of anyio, by which Starlette ends a response
whose client hung up, repeats itself until the task has ended, and a time limit may expire as the client
leaves. The second cancellation interrupts the first `await` of a `finally`, and the lines after it never run:
a connection stays in use for ever. So cleanup that waits runs in a task of its own, which is never cancelled,
and other tasks are cancelled once and waited for.

A `finally` or an `except BaseException` has one such `await` and no other, because the cancellation is raised
when it has ended. To close a generator that follows this rule, by `contextlib.aclosing` or `aclose`, needs no
task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def finish(cleanup: Awaitable[Result]) -> Result:
    """Return the result of an awaitable, which runs to its end even if the caller is cancelled meanwhile.

    The caller's cancellation is raised then; it takes precedence over an error of the cleanup.
    """
    task = asyncio.ensure_future(cleanup)
    try:
        await _ended([task])
    except asyncio.CancelledError:
        _drop(task)
        raise
    return task.result()


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks that still run, each once in its life, and wait until all have ended.

    Their results and errors are dropped.
    """
    for task in tasks:
        if not task.done() and not task.cancelling():
            task.cancel()
    try:
        await _ended(tasks)
    finally:
        for task in tasks:
            _drop(task)


async def within(seconds: float | None, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of work, which has ended when this returns or raises.

    Time and the caller cancel it once together, where `asyncio.timeout` may interrupt the cleanup that a
    cancellation of the caller started. Raises `TimeoutError` after `seconds`.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        await cancel(task)
    if task.cancelled():
        raise TimeoutError
    return task.result()


async def _ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Wait until all tasks have ended. Raises the caller's cancellation only then."""
    cancelled: asyncio.CancelledError | None = None
    while running := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _drop(task: asyncio.Future[Any]) -> None:
    """Retrieve a task's error, so that it is not logged as lost."""
    if not task.cancelled():
        task.exception()
