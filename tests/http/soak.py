"""Thousands of requests to a server process, many of whose clients leave, at every stage of a request.

At the end all slots, places of the queue, connections to the endpoint and file handles must be free.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx

from tests.backends.remote.upstream import Exchange, chat, chunk, event, upstream
from tests.http.scripts import write_script
from tests.http.servers import MESSAGES, Server, running
from tests.http.test_remote import write_remote
from tests.http.zoo import LONG, ROUND
from tests.support.encoders import write_text_encoder

TOGETHER = 32
"""Clients at a time: fewer than there are slots and places, so that a client that stays is never refused."""
SLOTS, QUEUE, CONNECTIONS = 4, 60, 48
PATIENCE = 60.0
FREE_SECONDS = 10.0
"""The longest until everything is free once the last client has left."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
"""The head of a stream that ends with its connection."""


class Stage(StrEnum):
    """The stage of a request at which its client leaves."""

    UPLOAD = "upload"
    WAIT = "wait"
    FIRST_BYTE = "first byte"
    STREAM = "stream"
    NEVER = "never"


LEAVING = tuple(stage for stage in Stage if stage is not Stage.NEVER)


@dataclass(slots=True)
class SlowEndpoint:
    """An endpoint that answers at a model's pace, and the number of requests that it is answering.

    It closes each connection, so that the server's handles can be counted.
    """

    running: int = 0

    async def answer(self, exchange: Exchange) -> None:
        """Answer one request; its client may leave meanwhile."""
        self.running += 1
        leaving = asyncio.create_task(exchange.disconnected())
        answering = asyncio.create_task(self._answer(exchange))
        try:
            await asyncio.wait({leaving, answering}, return_when=asyncio.FIRST_COMPLETED)
            raise ConnectionError
        finally:
            self.running -= 1
            for task in (leaving, answering):
                task.cancel()
            await asyncio.gather(leaving, answering, return_exceptions=True)

    async def _answer(self, exchange: Exchange) -> None:
        pieces = min(exchange.json.get("max_tokens", 8), 1000)
        if not exchange.json.get("stream"):
            await asyncio.sleep(0.02)
            await exchange.answer(200, chat("la "), {"Connection": "close"})
            return
        await exchange.send(HEAD)
        for _ in range(pieces):
            await exchange.send(event(chunk("la ")))
            await asyncio.sleep(0.005)
        await exchange.send(event(chunk("", reason="stop")) + b"data: [DONE]\n\n")


@dataclass(slots=True)
class Outcome:
    """The numbers of a soak, and the faults that it found."""

    requests: int = 0
    left: dict[Stage, int] = field(default_factory=lambda: dict.fromkeys(LEAVING, 0))
    handles: tuple[int, int] = (0, 0)
    """File handles of the server before and after."""
    faults: list[str] = field(default_factory=list)


async def soak(folder: Path, *, requests: int, leavers: int, seed: int = 0) -> Outcome:
    """Send so many requests, `leavers` of whose clients leave, and return what was found."""
    outcome, endpoint = Outcome(), SlowEndpoint()
    async with upstream(endpoint.answer) as fake:
        models, log = folder / "models", folder / "log"
        write_script(models, ROUND, name="local", context=LONG, loops=True)
        write_text_encoder(models, name="vectors")
        remote = {"url": fake.url, "dialect": "openai", "model": "x", "connections": CONNECTIONS}
        write_remote(models, "remote", {**remote, "connect_seconds": 2})
        rules = folder / "rules.txt"
        rules.write_text("hate 4: rude words")
        settings = {
            "INFERENCE_SLOTS": str(SLOTS),
            "INFERENCE_QUEUE_LIMIT": str(QUEUE),
            "INFERENCE_CONTENT_SAFETY_BLOCKLIST_FILES": str(rules),
        }
        with running(models, log, **settings) as server:
            clients = _Clients(server, outcome, random.Random(seed))
            await clients.fill()
            before = _handles(server)
            await clients.come_and_go(requests, leavers)
            outcome.faults += await _what_is_not_free(endpoint)
            await clients.fill()
            outcome.handles = before, await _settled_handles(server, before)
            if outcome.handles[1] > before:
                # Something that is opened once is no leak, and a leak takes as many again.
                await clients.come_and_go(requests, leavers)
                await clients.fill()
                first = outcome.handles[1]
                outcome.handles = first, await _settled_handles(server, first)
        if log.read_text():
            outcome.faults.append(f"the log has {log.read_text()[:2000]}")
    if outcome.handles[1] > outcome.handles[0]:
        outcome.faults.append(f"file handles: {outcome.handles}")
    return outcome


async def _what_is_not_free(endpoint: SlowEndpoint) -> list[str]:
    with suppress(TimeoutError):
        async with asyncio.timeout(FREE_SECONDS):
            while endpoint.running:  # noqa: ASYNC110  connections end in the server process
                await asyncio.sleep(0.01)
    return [f"{endpoint.running} requests run at the endpoint"] if endpoint.running else []


async def _settled_handles(server: Server, most: int) -> int:
    with suppress(TimeoutError):
        async with asyncio.timeout(FREE_SECONDS):
            while _handles(server) > most:  # noqa: ASYNC110  the server process closes them
                await asyncio.sleep(0.01)
    return _handles(server)


def _handles(server: Server) -> int:
    return sum(1 for _ in Path(f"/proc/{server.process.pid}/fd").iterdir())


class _Clients:
    """The clients of a soak."""

    def __init__(self, server: Server, outcome: Outcome, chance: random.Random) -> None:
        self._url = httpx.URL(server.url)
        self._outcome = outcome
        self._chance = chance

    async def fill(self) -> None:
        """Take every slot, place of the queue and connection at once: none may be refused."""
        local = [self._stay("local", stream=bool(index % 2)) for index in range(SLOTS + QUEUE)]
        await asyncio.gather(*local)
        await asyncio.gather(*(self._stay("remote", stream=True) for _ in range(CONNECTIONS)))
        await self._stay("vectors", stream=False)

    async def come_and_go(self, requests: int, leavers: int) -> None:
        """Send requests, `TOGETHER` at a time, and leave some of them at a stage drawn by lot."""
        stages = [self._chance.choice(LEAVING) for _ in range(leavers)] + [Stage.NEVER] * (requests - leavers)
        self._chance.shuffle(stages)
        gate = asyncio.Semaphore(TOGETHER)

        async def one(stage: Stage) -> None:
            async with gate:
                await self._one(stage)

        await asyncio.gather(*(one(stage) for stage in stages))

    async def _one(self, stage: Stage) -> None:
        self._outcome.requests += 1
        deployment = self._chance.choice(("local", "local", "remote", "remote", "vectors"))
        if stage is Stage.NEVER:
            await self._stay(deployment, stream=self._chance.random() < 0.5)
            return
        self._outcome.left[stage] += 1
        stream = stage is Stage.STREAM or self._chance.random() < 0.5
        reader, writer = await self._connect()
        with suppress(ConnectionError):
            await self._leave(stage, _request(deployment, stream=stream, tokens=50_000), reader, writer)
        if self._chance.random() < 0.5:
            handle: socket.socket = writer.get_extra_info("socket")
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await _close(writer)

    async def _leave(
        self, stage: Stage, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Send a request, all or a part, and return at the stage at which its client leaves."""
        share = self._chance.random() if stage is Stage.UPLOAD else 1
        writer.write(request[: int(len(request) * share)])
        await writer.drain()
        async with asyncio.timeout(PATIENCE):
            match stage:
                case Stage.WAIT:
                    await asyncio.sleep(self._chance.random() * 0.05)
                case Stage.FIRST_BYTE:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.3):  # A whole answer of so many tokens never begins.
                            await reader.read(1)
                case Stage.STREAM:
                    for _ in range(self._chance.randrange(2, 6)):
                        await reader.read(4096)

    async def _stay(self, deployment: str, *, stream: bool) -> None:
        """Send a request and read its answer to the end, which must be whole."""
        reader, writer = await self._connect()
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(_request(deployment, stream=stream, tokens=8))
                answer = await reader.read(-1)
        except (ConnectionError, TimeoutError) as error:
            answer = repr(error).encode()
        whole = b"[DONE]" in answer if stream and deployment != "vectors" else answer.rstrip().endswith(b"}")
        if not (answer.startswith(b"HTTP/1.1 200 ") and whole):
            self._outcome.faults.append(f"{deployment}: {answer[:300]!r}")
        await _close(writer)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._url.host, self._url.port)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def _request(deployment: str, *, stream: bool, tokens: int) -> bytes:
    """Return the bytes of a request; one of vectors has neither stream nor tokens."""
    body: dict[str, Any] = {"messages": MESSAGES, "stream": stream, "max_tokens": tokens}
    path = "chat/completions"
    if deployment == "vectors":
        body, path = {"input": ["one text"] * (64 if tokens > 8 else 2)}, "embeddings"
    content = json.dumps(body).encode()
    head = (
        f"POST /deployments/{deployment}/{path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content
