"""An HTTP client that does nothing but write and read a socket, so that what is measured is the server."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

END_OF_HEAD = b"\r\n\r\n"
EVENT = b"data: "
SOME = 1 << 16


class Connection:
    """A connection that is kept, for answers that say their length."""

    def __init__(self, url: httpx.URL) -> None:
        self._host = url.host
        self._socket = socket.create_connection((url.host, url.port or 80))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, body: bytes) -> bytes:
        """Return the answer's body. Raises `ConnectionError` unless it is 200."""
        self._socket.sendall(_request(self._host, path, body))
        data = b""
        while END_OF_HEAD not in data:
            data += self._more()
        head, _, answer = data.partition(END_OF_HEAD)
        while len(answer) < _length(head):
            answer += self._more()
        return answer

    def close(self) -> None:
        self._socket.close()

    def _more(self) -> bytes:
        return self._socket.recv(SOME) or _broken(b"the server hung up")


async def post(url: httpx.URL, path: str, bodies: Sequence[bytes]) -> list[float]:
    """Send bodies one by one on a kept connection; return the time of the first, then of every answer.

    Raises `ConnectionError` unless all are 200.
    """
    reader, writer = await asyncio.open_connection(url.host, url.port or 80)
    moments = [time.perf_counter()]
    try:
        for body in bodies:
            writer.write(_request(url.host, path, body))
            await reader.readexactly(_length(await reader.readuntil(END_OF_HEAD)))
            moments.append(time.perf_counter())
    finally:
        writer.close()
        await writer.wait_closed()
    return moments


async def events(url: httpx.URL, path: str, body: Mapping[str, Any]) -> list[bytes]:
    """Return the data of every event of a stream, to its end. Raises `ConnectionError` unless it is 200."""
    reader, writer = await asyncio.open_connection(url.host, url.port or 80)
    try:
        writer.write(_request(url.host, path, json.dumps(body).encode(), "Connection: close\r\n"))
        _check(await reader.readuntil(END_OF_HEAD))
        answer = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    return answer.split(EVENT)[1:]


async def arrivals(url: httpx.URL, path: str, body: Mapping[str, Any]) -> list[float]:
    """Return the loop's time at each event of a stream. Raises `ConnectionError` unless it is 200."""
    return (await timed_stream(url, path, body))[0]


async def timed_stream(url: httpx.URL, path: str, body: Mapping[str, Any]) -> tuple[list[float], bytes]:
    """Return the loop's time at each event of a stream, and all that came, chunk sizes between the events.

    Raises `ConnectionError` unless it is 200.
    """
    clock = asyncio.get_running_loop().time
    reader, writer = await asyncio.open_connection(url.host, url.port or 80)
    try:
        writer.write(_request(url.host, path, json.dumps(body).encode(), "Connection: close\r\n"))
        _check(await reader.readuntil(END_OF_HEAD))
        times: list[float] = []
        pieces: list[bytes] = []
        while piece := await reader.read(SOME):
            times += [clock()] * piece.count(EVENT)
            pieces.append(piece)
    finally:
        writer.close()
        await writer.wait_closed()
    return times, b"".join(pieces)


def _request(host: str, path: str, body: bytes, more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    return f"{head}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _length(head: bytes) -> int:
    _check(head)
    lines = head.lower().split(b"\r\n")
    return next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))


def _check(head: bytes) -> None:
    if head.split(maxsplit=2)[1] != b"200":
        _broken(head)


def _broken(why: bytes) -> bytes:
    raise ConnectionError(why.decode("latin-1"))
