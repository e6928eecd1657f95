"""What a service does on a bad day, one word each: the server does it instead of answering."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from socket import SO_LINGER, SOL_SOCKET
from ssl import SSLContext
from typing import Any

from inference.safety.blocklist import read_blocklist
from inference.safety.emulator.service import EmulatedService


class Fault(StrEnum):
    """A bad day. `slow` answers late and right; all others are failures."""

    NONE = "none"
    HANG = "hang"
    RESET = "reset"
    HALF = "half"
    DRIP = "drip"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    LIMITED = "429"
    BROKEN = "500"
    GARBAGE = "garbage"
    NO_SEVERITY = "no-severity"
    EMPTY = "empty"


CODES = {
    Fault.UNAUTHORIZED: "401",
    Fault.FORBIDDEN: "403",
    Fault.NOT_FOUND: "404",
    Fault.LIMITED: "TooManyRequests",
    Fault.BROKEN: "InternalError",
}


@dataclass(frozen=True, slots=True)
class EmulatedResponse:
    """What goes over the wire."""

    status: int
    body: bytes
    headers: dict[str, str]


def spoiled(
    fault: Fault, status: int, body: Any, headers: dict[str, str], retry_after: float
) -> EmulatedResponse:
    """The answer as a fault leaves it."""
    if fault in CODES:
        error = {"error": {"code": CODES[fault], "message": "The emulator was told to answer so."}}
        extra = {"Retry-After": f"{retry_after:g}"} if fault is Fault.LIMITED else {}
        return EmulatedResponse(
            int(fault), json.dumps(error).encode(), {"x-ms-error-code": CODES[fault], **extra}
        )
    if fault is Fault.NO_SEVERITY:
        body = _without_severity(body)
    data = json.dumps(body).encode()
    if fault is Fault.GARBAGE:
        data = data[: len(data) // 2]
    return EmulatedResponse(status, b"" if fault is Fault.EMPTY else data, headers)


def _without_severity(body: Any) -> Any:
    analysis = [{"category": one["category"]} for one in body.get("categoriesAnalysis", [])]
    return {**body, "categoriesAnalysis": analysis}


LARGEST = 16 * 1024 * 1024
"""Bytes of a body."""
DRIP_SECONDS = 0.2


@dataclass(slots=True)
class EmulatorServer:
    """Answers on a port of this machine; the fields may be changed while it runs."""

    service: EmulatedService
    fault: Fault = Fault.NONE
    delay: float = 0.0
    """Seconds before every answer."""
    retry_after: float = 1.0
    """What a 429 asks for."""
    skip: int = 0
    """Requests that are answered well before the fault begins."""
    times: int | None = None
    """How often the fault happens; None: always."""
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, host: str, port: int, tls: SSLContext | None = None) -> asyncio.Server:
        """Begins to listen."""
        return await asyncio.start_server(self._connected, host, port, ssl=tls)

    async def close(self) -> None:
        """Ends every connection."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; whether the connection stays open."""
        head = await reader.readuntil(b"\r\n\r\n")
        target, headers = _read_head(head)
        body = await reader.readexactly(min(int(headers.get("content-length", "0")), LARGEST))
        fault = self._next_fault()
        if self.delay:
            await asyncio.sleep(self.delay)
        if fault is Fault.RESET:
            _reset(writer)
            return False
        if fault is Fault.HANG:
            await asyncio.Event().wait()
        status, answer, extra = self.service.answer(target, headers, body)
        reply = spoiled(fault, status, answer, extra, self.retry_after)
        return await self._send(writer, reply, fault)

    def _next_fault(self) -> Fault:
        if self.skip > 0:
            self.skip -= 1
            return Fault.NONE
        if self.times is not None:
            if self.times <= 0:
                return Fault.NONE
            self.times -= 1
        return self.fault

    async def _send(self, writer: asyncio.StreamWriter, reply: EmulatedResponse, fault: Fault) -> bool:
        data = _written(reply)
        if fault is Fault.HALF:
            writer.write(data[: len(data) - len(reply.body) // 2])
            await writer.drain()
            return False
        if fault is Fault.DRIP:
            for byte in data:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(DRIP_SECONDS)
        else:
            writer.write(data)
            await writer.drain()
        return True


def _read_head(head: bytes) -> tuple[str, Mapping[str, str]]:
    request, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    target = request.split(" ")[1]
    return target, {name.strip().lower(): value.strip() for name, _, value in pairs}


def _written(reply: EmulatedResponse) -> bytes:
    reason = HTTPStatus(reply.status).phrase
    headers = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(reply.body))}
    lines = [f"{name}: {value}" for name, value in {**headers, **reply.headers}.items()]
    return "\r\n".join([f"HTTP/1.1 {reply.status} {reason}", *lines, "", ""]).encode("latin-1") + reply.body


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection without a word: the peer sees it reset."""
    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def run(options: argparse.Namespace) -> int:
    """Serves until SIGINT; 1 with a sentence on stderr when the rules or the fault cannot be read."""
    try:
        phrases = read_blocklist(options.rules) if options.rules else []
        fault = Fault(options.fault)
    except ValueError as error:
        sys.stderr.write(f"{error}; faults are {', '.join(Fault)}\n")
        return 1
    server = EmulatorServer(EmulatedService(phrases, options.key), fault, options.delay, options.retry_after)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(server, options.host, options.port))
    return 0


async def _serve(server: EmulatorServer, host: str, port: int) -> None:
    listening = await server.serve(host, port)
    url = f"http://{host}:{listening.sockets[0].getsockname()[1]}"
    sys.stdout.write(
        f"\n  {url}\n\n  {len(server.service.phrases)} rules. In the endpoint's settings:\n"
        f"  INFERENCE_CONTENT_SAFETY_ENDPOINT={url}\n"
        f"  INFERENCE_CONTENT_SAFETY_KEY={server.service.key or 'any'}\n  Ctrl-C stops.\n"
    )
    sys.stdout.flush()
    await listening.serve_forever()
