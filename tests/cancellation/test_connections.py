"""Connections of an HTTP client whose requests are cancelled at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpcore
import httpx
import pytest

from inference.cancellation.connections import (
    CLOSE_SECONDS,
    PatientBackend,
    UninterruptedWrites,
    protect,
    reclaim,
)
from tests.backends.remote.upstream import TIMEOUT_SECONDS, FakeEndpoint, answering, upstream
from tests.safety.clock import now, simulate


class SlowStream(httpcore.AsyncNetworkStream):
    """A connection that takes so many seconds for a write, and notes the whole ones."""

    def __init__(self, seconds: float) -> None:
        self.written: list[bytes] = []
        self._seconds = seconds

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await asyncio.sleep(self._seconds)
        self.written.append(buffer)


@pytest.mark.parametrize(
    ("seconds", "written", "ends"), [(2, [b"frame"], 2), (60, [], 1 + CLOSE_SECONDS)], ids=["slow", "stuck"]
)
def test_a_write_is_not_cancelled_with_its_request_unless_it_is_stuck(
    seconds: float, written: list[bytes], ends: float
) -> None:
    stream = SlowStream(seconds)

    async def leave() -> float:
        writing = asyncio.create_task(UninterruptedWrites(stream).write(b"frame"))
        for _ in range(2):
            await asyncio.sleep(0.5)
            writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        return now()

    assert simulate(leave()) == pytest.approx(ends, abs=0.5)
    assert stream.written == written


class SlowNetwork(httpcore.AsyncNetworkBackend):
    """A network on which a connection is made when the test says so, and its connections that were closed."""

    def __init__(self) -> None:
        self.may_connect, self.closed = asyncio.Event(), asyncio.Event()

    async def connect_tcp(self, *_: Any) -> httpcore.AsyncNetworkStream:
        await self.may_connect.wait()
        return ClosingStream(self.closed)


class ClosingStream(httpcore.AsyncNetworkStream):
    """A connection that notes that it was closed."""

    def __init__(self, closed: asyncio.Event) -> None:
        self._closed = closed

    async def aclose(self) -> None:
        self._closed.set()


async def test_a_connection_that_is_made_after_its_request_was_cancelled_is_closed() -> None:
    network = SlowNetwork()
    connecting = asyncio.create_task(PatientBackend(network).connect_tcp("host", 80))
    await asyncio.sleep(0)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    network.may_connect.set()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await network.closed.wait()


async def test_a_connection_that_is_made_in_time_stays_open() -> None:
    network = SlowNetwork()
    network.may_connect.set()
    assert isinstance(await PatientBackend(network).connect_tcp("host", 80), UninterruptedWrites)
    assert not network.closed.is_set()


@asynccontextmanager
async def narrow_client() -> AsyncIterator[tuple[httpx.AsyncClient, FakeEndpoint]]:
    """Yield a client that has one connection, and its endpoint."""
    limits = httpx.Limits(max_connections=1)
    async with (
        upstream(answering({})) as fake,
        protect(httpx.AsyncClient(limits=limits, timeout=1, trust_env=False)) as client,
    ):
        yield client, fake


@pytest.mark.parametrize("steps", range(12))
async def test_requests_that_are_cancelled_at_any_step_leave_the_only_connection_free(steps: int) -> None:
    async with narrow_client() as (client, fake):
        requests = [asyncio.create_task(client.get(fake.url)) for _ in range(2)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for request in requests:
            request.cancel()
        await asyncio.wait(requests)
        await reclaim(client, httpx.URL(fake.url))
        assert (await client.get(fake.url)).status_code == 200


async def test_a_connection_in_use_and_an_idle_one_are_not_reclaimed() -> None:
    async with narrow_client() as (client, fake):
        async with client.stream("GET", fake.url) as response:
            await reclaim(client, httpx.URL(fake.url))
            assert await response.aread() == b"{}"
        await reclaim(client, httpx.URL(fake.url))
        assert (await client.get(fake.url)).status_code == 200
        assert fake.connections == 1
