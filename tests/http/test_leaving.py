"""Clients that hang up: their slots, queue places and connections serve the next caller."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backends.remote.upstream import TIMEOUT_SECONDS, Exchange, Script, chunk, event, upstream
from tests.http.scripts import write_script
from tests.http.servers import MESSAGES, PATIENCE, Server, running
from tests.http.test_remote import write_remote
from tests.http.zoo import LONG, ROUND

CONNECTIONS = 4
QUEUE = 6


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


class Raw:
    """A connection of bytes, which sends parts of a request and hangs up."""

    def __init__(self, server: Server) -> None:
        url = httpx.URL(server.url)
        self._socket = socket.create_connection((url.host, url.port or 80), timeout=PATIENCE)

    def send(self, body: dict[str, Any], *, path: str = "/chat/completions", share: float = 1.0) -> Raw:
        """Send the head of a request and a share of its body."""
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode())
        self._socket.sendall(content[: int(len(content) * share)])
        return self

    def leave(self, *, abruptly: bool = False) -> None:
        if abruptly:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An endpoint with one slot and a queue of six, and a model that never ends."""
    models = tmp_path_factory.mktemp("narrow")
    write_script(models, ROUND, name="babbler", context=LONG, loops=True)
    settings = {
        "INFERENCE_SLOTS": "1",
        "INFERENCE_QUEUE_LIMIT": str(QUEUE),
        "INFERENCE_HEARTBEAT_SECONDS": "3600",
    }
    with running(models, models / "log", **settings) as server:
        yield server


def asking(*, stream: bool, **more: Any) -> dict[str, Any]:
    return {"messages": MESSAGES, "stream": stream, "max_tokens": 50_000, **more}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_callers_that_leave_the_queue_leave_their_places(narrow: Server, stream: bool) -> None:
    async with client_of(narrow) as client:
        async with streaming(client):
            for round_ in range(2):
                leavers = [Raw(narrow).send(asking(stream=stream)) for _ in range(QUEUE)]
                await until_waiting(client, waits=False)
                for leaver in leavers:
                    leaver.leave(abruptly=bool(round_))
                await until_waiting(client, waits=True)
        answer = await client.post("/chat/completions", json=asking(stream=False, max_tokens=1))
        assert answer.status_code == 200


async def until_waiting(client: httpx.AsyncClient, *, waits: bool) -> None:
    """Return when a request waits in the queue, or is refused because others fill it."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        waited = not waits
        while waited is not waits:
            try:
                answer = await client.post("/chat/completions", json=asking(stream=False), timeout=1)
            except httpx.ReadTimeout:
                waited = True
            else:
                waited = False
                assert answer.status_code == 429


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize("abruptly", [False, True])
async def test_hanging_up_while_a_body_uploads_leaves_no_line_in_the_log(
    narrow: Server, share: float, abruptly: bool
) -> None:
    Raw(narrow).send(asking(stream=True), share=share).leave(abruptly=abruptly)
    async with client_of(narrow) as client:
        assert (await client.get("/health")).status_code == 200
    assert (narrow.log).read_text() == ""


async def test_a_stream_that_is_not_read_is_ended_when_its_client_leaves(narrow: Server) -> None:
    for _ in range(3):
        Raw(narrow).send(asking(stream=True)).leave()
    async with client_of(narrow) as client:
        answer = await client.post("/chat/completions", json=asking(stream=False, max_tokens=1))
    assert answer.status_code == 200
