"""The emulator's HTTP server, and the faults that it simulates."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from http import HTTPStatus
from socket import SO_LINGER, SOL_SOCKET
from ssl import SSLContext

from inference.safety.blocklist import BlocklistError, read_blocklist
from inference.safety.emulator.service import EmulatedService


class Fault(StrEnum):
    """A failure that the server simulates instead of, or while, answering."""

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


MAX_BODY_BYTES = 16 * 1024 * 1024
DRIP_SECONDS = 0.2
"""Seconds between the bytes of a response that drips."""
ERROR_CODES = {
    Fault.UNAUTHORIZED: "401",
    Fault.FORBIDDEN: "403",
    Fault.NOT_FOUND: "404",
    Fault.LIMITED: "TooManyRequests",
    Fault.BROKEN: "InternalError",
}


@dataclass(frozen=True, slots=True)
class EmulatedResponse:
    """An HTTP response before it is written."""

    status: int
    body: bytes
    headers: dict[str, str]


def with_fault(response: EmulatedResponse, fault: Fault, retry_after: float) -> EmulatedResponse:
    """Return the response as a fault changes it."""
    if fault in ERROR_CODES:
        code = ERROR_CODES[fault]
        error = {"error": {"code": code, "message": "The emulator simulates this error."}}
        extra = {"Retry-After": f"{retry_after:g}"} if fault is Fault.LIMITED else {}
        return EmulatedResponse(int(fault), json.dumps(error).encode(), {"x-ms-error-code": code, **extra})
    body = response.body
    if fault is Fault.NO_SEVERITY:
        body = _without_severity(body)
    if fault is Fault.GARBAGE:
        body = body[: len(body) // 2]
    return replace(response, body=b"" if fault is Fault.EMPTY else body)


def _without_severity(body: bytes) -> bytes:
    answer = json.loads(body)
    analysis = [{"category": one["category"]} for one in answer.get("categoriesAnalysis", [])]
    return json.dumps({**answer, "categoriesAnalysis": analysis}).encode()


@dataclass(slots=True)
class EmulatorServer:
    """A server of the emulated service; its fields may be changed while it runs."""

    service: EmulatedService
    fault: Fault = Fault.NONE
    delay: float = 0.0
    """Seconds before every response."""
    retry_after: float = 1.0
    """Seconds of the Retry-After of a 429."""
    skip: int = 0
    """Requests that are answered correctly before the fault occurs."""
    times: int | None = None
    """Requests that the fault affects; None: all."""
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, host: str, port: int, tls: SSLContext | None = None) -> asyncio.Server:
        """Listen on an address, port 0 for any free one."""
        return await asyncio.start_server(self._connected, host, port, ssl=tls)

    async def close(self) -> None:
        """Close every connection."""
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
        """Answer one request and return True if the connection stays open."""
        head = await reader.readuntil(b"\r\n\r\n")
        target, headers = _read_head(head)
        body = await reader.readexactly(min(int(headers.get("content-length", "0")), MAX_BODY_BYTES))
        fault = self._next_fault()
        if self.delay:
            await asyncio.sleep(self.delay)
        if fault is Fault.RESET:
            _reset(writer)
            return False
        if fault is Fault.HANG:
            await asyncio.Event().wait()
        status, answer, extra = self.service.answer(target, headers, body)
        response = EmulatedResponse(status, json.dumps(answer).encode(), extra)
        return await self._send(writer, with_fault(response, fault, self.retry_after), fault)

    def _next_fault(self) -> Fault:
        if self.skip > 0:
            self.skip -= 1
            return Fault.NONE
        if self.times is not None:
            if self.times <= 0:
                return Fault.NONE
            self.times -= 1
        return self.fault

    async def _send(self, writer: asyncio.StreamWriter, response: EmulatedResponse, fault: Fault) -> bool:
        data = _serialize(response)
        if fault is Fault.HALF:
            writer.write(data[: len(data) - len(response.body) // 2])
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


def _serialize(response: EmulatedResponse) -> bytes:
    reason = HTTPStatus(response.status).phrase
    headers = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(response.body))}
    lines = [f"{name}: {value}" for name, value in {**headers, **response.headers}.items()]
    head = "\r\n".join([f"HTTP/1.1 {response.status} {reason}", *lines, "", ""])
    return head.encode("latin-1") + response.body


def _reset(writer: asyncio.StreamWriter) -> None:
    """Abort a connection so that the client sees a TCP reset."""
    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def run(options: argparse.Namespace) -> int:
    """Serve until SIGINT; return 1, with the reason on stderr, for invalid rules or an unknown fault."""
    try:
        rules = read_blocklist(options.rules) if options.rules else []
        fault = Fault(options.fault)
    except BlocklistError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except ValueError:
        sys.stderr.write(f"--fault is {options.fault!r}; allowed are {', '.join(Fault)}\n")
        return 1
    server = EmulatorServer(EmulatedService(rules, options.key), fault, options.delay, options.retry_after)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(server, options.host, options.port))
    return 0


async def _serve(server: EmulatorServer, host: str, port: int) -> None:
    listener = await server.serve(host, port)
    url = f"http://{host}:{listener.sockets[0].getsockname()[1]}"
    sys.stdout.write(
        f"\n  {url}\n\n  {len(server.service.rules)} rules. In the endpoint's settings:\n"
        f"  INFERENCE_CONTENT_SAFETY_ENDPOINT={url}\n"
        f"  INFERENCE_CONTENT_SAFETY_KEY={server.service.key or 'any'}\n  Ctrl-C stops.\n"
    )
    sys.stdout.flush()
    await listener.serve_forever()
