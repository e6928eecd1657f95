"""Clients that hang up: their slots, queue places and connections serve the next caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backends.remote.upstream import TIMEOUT_SECONDS, Exchange, Script, chunk, event, upstream
from tests.http.servers import MESSAGES, PATIENCE, Server, running
from tests.http.test_remote import write_remote

CONNECTIONS = 4


class Babbler:
    """An endpoint that streams until its caller leaves, and its callers' connections that have ended."""

    def __init__(self) -> None:
        self.ended = asyncio.Semaphore(0)

    def script(self) -> Script:
        async def babble(exchange: Exchange) -> None:
            try:
                if not exchange.json.get("stream"):
                    await exchange.disconnected()
                    return
                await exchange.start()
                while True:
                    count = exchange.json.get("n", 1)
                    for index in range(count):
                        await exchange.send_chunk(event(chunk("la ", index=index)))
                    await asyncio.sleep(0.005)
            finally:
                self.ended.release()

        return babble

    async def wait_until_ended(self, count: int) -> None:
        """Return when so many more connections of callers have ended."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            for _ in range(count):
                await self.ended.acquire()


@asynccontextmanager
async def client_of(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=PATIENCE) as client:
        yield client


@asynccontextmanager
async def streaming(client: httpx.AsyncClient, **body: Any) -> AsyncIterator[httpx.Response]:
    """Enter a stream at its first text; leaving the block hangs up."""
    sent = {"messages": MESSAGES, "stream": True, "model": "babbler", **body}
    async with client.stream("POST", "/openai/v1/chat/completions", json=sent) as response:
        assert response.status_code == 200, await response.aread()
        async for line in response.aiter_lines():
            if "la " in line:
                break
        yield response


@pytest.mark.parametrize("choices", [1, 3])
async def test_streams_that_were_left_free_the_connections_to_the_endpoint(
    tmp_path: Path, choices: int
) -> None:
    babbler = Babbler()
    async with upstream(babbler.script()) as endpoint:
        remote = {"url": endpoint.url, "dialect": "openai", "model": "x", "connections": CONNECTIONS}
        write_remote(tmp_path / "models", "babbler", {**remote, "connect_seconds": 2})
        with running(tmp_path / "models", tmp_path / "log") as server:
            async with client_of(server) as client:
                for _ in range(2):
                    async with AsyncExitStack() as streams:
                        for _ in range(CONNECTIONS):
                            await streams.enter_async_context(streaming(client, n=choices))
                    await babbler.wait_until_ended(CONNECTIONS)
                async with streaming(client, n=choices):
                    pass
    assert (tmp_path / "log").read_text() == ""
