"""A watchdog on the event loop: the longest time that it could not run anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

TICK = 0.001


class Watchdog:
    """The longest stall so far, in seconds of this process's processor time.

    Processor time does not pass while other programs have the machine, wall time does.
    """

    stall = 0.0

    async def run(self) -> None:
        last = time.process_time()
        while True:
            await asyncio.sleep(TICK)
            now = time.process_time()
            self.stall, last = max(self.stall, now - last), now


@asynccontextmanager
async def watched() -> AsyncIterator[Watchdog]:
    """Yield a watchdog that watches the loop during the block."""
    watchdog = Watchdog()
    task = asyncio.create_task(watchdog.run())
    await asyncio.sleep(0)
    try:
        yield watchdog
        await asyncio.sleep(2 * TICK)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
