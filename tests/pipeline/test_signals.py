"""Signals that end a process: chained before the server's handlers, and certain."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from inference.pipeline.shutdown import Shutdown, drain_on_signals
from inference.settings import PROJECT

STUCK = """
import signal, threading
from inference.pipeline.shutdown import end_after
end_after(0.01, signal.SIGTERM)
threading.Thread(target=threading.Event().wait).start()
"""


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """The signals that the server's own handler was called with."""
    numbers: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        numbers.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_begins_the_shutdown_and_reaches_the_server(handled: list[int], number: int) -> None:
    shutdown = Shutdown(0)
    for _ in range(2):
        drain_on_signals(shutdown)
    signal.raise_signal(number)
    await asyncio.sleep(0)

    assert shutdown.has_begun
    assert handled == [number]


@pytest.mark.usefixtures("handled")
async def test_without_a_server_s_handler_nothing_is_chained() -> None:
    before: dict[int, Any] = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    for number, handler in before.items():
        signal.signal(number, handler)
    drain_on_signals(Shutdown(0))

    assert {number: signal.getsignal(number) for number in before} == before


def test_a_process_with_a_thread_that_never_ends_is_ended() -> None:
    done = subprocess.run([sys.executable, "-c", STUCK], cwd=PROJECT, timeout=60)

    assert done.returncode == 128 + signal.SIGTERM
