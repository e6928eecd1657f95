"""A scripted endpoint: it can cut connections, stall, split bytes and send garbage."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_SECONDS = 20
"""Seconds that a test waits for an expected event before it fails."""


@dataclass(slots=True)
class Exchange:
    """One request at the endpoint, and the methods that answer it."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole response; bytes are sent as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
        await self.send(_head(status, head) + data)

    async def start(self) -> None:
        """Send the head of a stream."""
        head = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
        await self.send(_head(200, head))

    async def send_chunk(self, data: bytes) -> None:
        """Send a part of a stream, as one chunk of the transfer."""
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def end(self) -> None:
        await self.send(b"0\r\n\r\n")

    async def events(self, *bodies: Any, done: bool = True) -> None:
        """Send a complete stream of events."""
        await self.start()
        for body in bodies:
            await self.send_chunk(event(body))
        if done:
            await self.send_chunk(b"data: [DONE]\n\n")
        await self.end()

    def cut(self) -> None:
        """Abort the connection."""
        self.writer.transport.abort()

    async def disconnected(self) -> None:
        """Return when the client has closed the connection."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            try:
                while await self.reader.read(4096):
                    pass
            except ConnectionError:
                pass


Script = Callable[[Exchange], Awaitable[None]]


@dataclass(slots=True)
class FakeEndpoint:
    """A running endpoint: its URL, and the exchanges that it received."""

    url: str
    received: list[Exchange] = field(default_factory=list)
    connections: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with the first request."""


@asynccontextmanager
async def upstream(*scripts: Script) -> AsyncIterator[FakeEndpoint]:
    """Serve on 127.0.0.1; the last script answers every later request too."""
    fake = FakeEndpoint("")
    failures: list[BaseException] = []
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fake.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while (exchange := await _receive(reader, writer)) is not None:
                script = scripts[min(len(fake.received), len(scripts) - 1)]
                fake.received.append(exchange)
                fake.reached.set()
                await script(exchange)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the test is over, or the client has disconnected
        except Exception as error:  # noqa: BLE001 - raised in the test
            failures.append(error)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 24)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if failures:
        raise failures[0]


async def _receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Exchange(method, target, headers, body, reader, writer)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def event(body: Any) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def chunk(text: str | None = None, *, index: int = 0, reason: Any = None, **delta: Any) -> Any:
    """Return a chunk of a chat."""
    content = {"content": text} if text is not None else {}
    choice = {"index": index, "delta": {**content, **delta}, "finish_reason": reason}
    return {"id": "theirs", "object": "chat.completion.chunk", "model": "theirs", "choices": [choice]}


def usage(prompt: int, completion: int) -> Any:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {"id": "theirs", "choices": [], "usage": counts}


def chat(*texts: str, reason: str = "stop", **more: Any) -> Any:
    """Return a whole chat response, one choice a text."""
    choices = [
        {"index": n, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
        for n, text in enumerate(texts)
    ]
    return {"id": "theirs", "object": "chat.completion", "choices": choices, **usage_only(5, 3), **more}


def usage_only(prompt: int, completion: int) -> dict[str, Any]:
    return {"usage": usage(prompt, completion)["usage"]}


def answering(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Script:
    """Return a script of one whole response."""

    async def script(exchange: Exchange) -> None:
        await exchange.answer(status, body, headers)

    return script


def streaming(bodies: Sequence[Any]) -> Script:
    """Return a script of one whole stream."""

    async def script(exchange: Exchange) -> None:
        await exchange.events(*bodies)

    return script
