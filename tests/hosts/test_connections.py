"""The limits of connections that no client of a test can reach: the file table, and readers that stop."""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from typing import Any, cast

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from inference.errors import TooManyConnections
from inference.hosts.connections import (
    OUT_OF_FILES,
    ConnectionLimits,
    LimitedConnection,
    LoopErrors,
    most_connections,
    refusal_bytes,
)
from tests.safety.clock import now, simulate

LIMITS = ConnectionLimits(connections=10, header_seconds=5, idle_seconds=30)


class Transport(asyncio.Transport):
    """A transport that notes when it was closed or cut."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ends: list[tuple[str, float]] = []

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.ends.append(("closed", now()))

    def abort(self) -> None:
        self.ends.append(("aborted", now()))

    def is_closing(self) -> bool:
        return bool(self.ends)


async def _no_request(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("a request was sent")


def connect() -> tuple[LimitedConnection, Transport]:
    """Return a connection that has just been made."""

    config = uvicorn.Config(cast(Any, _no_request), interface="asgi3", ws="none", log_config=None)
    config.load()
    connection = LimitedConnection(config, uvicorn.server.ServerState(), {}, limits=LIMITS)
    transport = Transport()
    connection.connection_made(transport)
    return connection, transport


@pytest.mark.parametrize(
    ("files", "wanted", "most"),
    [
        (1024, 1000, 896),
        (65536, 1000, 1000),
        (200, 1000, 100),
        (resource.RLIM_INFINITY, 1000, 1000),
        (1024, 5, 5),
    ],
)
def test_connections_leave_files_to_the_rest(
    monkeypatch: pytest.MonkeyPatch, files: int, wanted: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert most_connections(wanted) == most


def test_a_client_that_takes_nothing_of_its_answer_is_cut() -> None:
    async def scene() -> list[tuple[str, float]]:
        connection, transport = connect()
        connection.data_received(b"GET / HT")
        await asyncio.sleep(1)
        connection.pause_writing()
        await asyncio.sleep(1)
        connection.resume_writing()
        connection._receiving.stop()
        connection.pause_writing()
        await asyncio.sleep(100)
        return transport.ends

    assert simulate(scene()) == [("aborted", 2 + LIMITS.idle_seconds)]


def test_bytes_one_by_one_do_not_prolong_the_time_for_a_head() -> None:
    async def scene() -> tuple[list[tuple[str, float]], bytes]:
        connection, transport = connect()
        for byte in b"GET /health HTTP/1.1":
            connection.data_received(bytes([byte]))
            await asyncio.sleep(1)
        return transport.ends, transport.written

    ends, written = simulate(scene())
    assert ends == [("closed", LIMITS.header_seconds)]
    assert written.startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_a_refusal_without_a_request_is_a_whole_answer() -> None:
    head, _, body = refusal_bytes(TooManyConnections("Too many.")).partition(b"\r\n\r\n")

    assert head.decode().split("\r\n") == [
        "HTTP/1.1 503 Service Unavailable",
        "X-Content-Type-Options: nosniff",
        "Cache-Control: no-store",
        "Retry-After: 2",
        "x-ms-error-code: too_many_connections",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]


def test_a_full_file_table_is_warned_of_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter([0.0, 1.0, 59.9, 60.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    loop, handler = asyncio.new_event_loop(), LoopErrors()
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            handler(loop, {"message": OUT_OF_FILES, "exception": OSError(24, "Too many open files")})
    loop.close()

    assert [record.getMessage() for record in caplog.records] == [
        "No file is left for a new connection (ulimit -n); clients wait until others leave."
    ] * 2


def test_other_errors_of_the_loop_are_logged_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.new_event_loop()
    LoopErrors()(loop, {"message": "Something else"})
    loop.close()

    assert caplog.messages == ["Something else"]
