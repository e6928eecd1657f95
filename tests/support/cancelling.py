"""Cancellation as Starlette does it: again and again, until the task has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def cancel_repeatedly(task: asyncio.Task[Any]) -> None:
    """Cancel a task in every step of the loop until it has ended."""
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)


async def start(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Return a task that has run to its first wait."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task


class Steps:
    """Cleanup that takes many steps of the loop, and notes that it began and that it ended."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    async def run(self, name: str = "cleanup") -> str:
        self.noted.append(f"{name} begins")
        for _ in range(20):
            await asyncio.sleep(0)
        self.noted.append(f"{name} ends")
        return name
