"""The emulator's HTTP/1.1: as much as the SDK speaks, and the ways in which a connection can go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from socket import SO_LINGER, SOL_SOCKET
from ssl import SSLContext

from inference.safety.emulator.faults import EmulatedResponse, Fault, spoiled
from inference.safety.emulator.service import EmulatedService

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
