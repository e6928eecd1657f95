"""Connections of the local host: how long a client may take, how many there may be, and no file left."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.http.servers import MESSAGES, PATIENCE, Server, running
from tests.http.zoo import write_small

CHAT = b"POST /chat/completions HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n"
MOST = 5
"""Connections that the hasty endpoint takes."""


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An endpoint that gives a client a second for everything, and takes few connections."""
    folder = tmp_path_factory.mktemp("hasty")
    limits = {
        "INFERENCE_HEADER_SECONDS": "1",
        "INFERENCE_BODY_SECONDS": "1",
        "INFERENCE_IDLE_SECONDS": "1",
        "INFERENCE_MAX_CONNECTIONS": str(MOST),
    }
    with running(write_small(folder / "models"), folder / "log", **limits) as server:
        yield server


def connect(server: Server) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)


def received(connection: socket.socket) -> bytes:
    """Return the bytes that come until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def closed_after(server: Server, *parts: bytes) -> bytes:
    """Return the answers to some bytes, after which the client does nothing more."""
    with connect(server) as connection:
        for part in parts:
            connection.sendall(part)
        return received(connection)


def refusal(answer: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return status, headers and body of one answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), json.loads(body)


def test_a_head_that_does_not_end_is_refused_and_closed(hasty: Server) -> None:
    status, headers, body = refusal(closed_after(hasty, b"GET /health HTTP/1.1\r\nHost: he"))

    assert (status, body["code"]) == (408, "request_timeout")
    assert body["message"] == "The head of the request did not come whole within 1 seconds."
    assert (headers["connection"], headers["x-content-type-options"]) == ("close", "nosniff")


def test_a_connection_on_which_nothing_comes_is_closed_without_a_word(hasty: Server) -> None:
    assert closed_after(hasty) == b""


def test_the_second_head_of_a_connection_has_as_little_time(hasty: Server) -> None:
    answer = closed_after(hasty, HEALTH, b"GET /hea")

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.count(b"HTTP/1.1 408 Request Timeout\r\n") == 1


def test_a_connection_that_is_idle_after_its_answer_is_closed(hasty: Server) -> None:
    answer = closed_after(hasty, HEALTH)

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_a_body_that_does_not_end_is_refused_and_closed(hasty: Server, framing: bytes) -> None:
    part = b"{" if framing.startswith(b"Content") else b"1\r\n{\r\n"
    status, headers, body = refusal(closed_after(hasty, CHAT + framing + b"\r\n\r\n" + part))

    assert (status, body["code"]) == (408, "request_timeout")
    assert body["message"] == "The body did not come whole within 1 seconds."
    assert headers["connection"] == "close"


def test_a_body_that_comes_after_its_refusal_has_no_time_of_its_own(hasty: Server) -> None:
    head = b"POST /nowhere HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n"
    status, headers, body = refusal(closed_after(hasty, head, b"{"))

    assert (status, body["code"]) == (404, "not_found")
    assert "connection" not in headers


def test_one_connection_too_many_is_refused_until_another_ends(hasty: Server) -> None:
    connections = [connect(hasty) for _ in range(MOST)]
    for connection in connections:
        connection.sendall(HEALTH)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    status, headers, body = refusal(closed_after(hasty))
    connections.pop().close()
    while refused(hasty):
        pass
    for connection in connections:
        connection.close()

    assert (status, body["code"], headers["retry-after"]) == (503, "too_many_connections", "2")


def refused(server: Server) -> bool:
    with connect(server) as connection:
        connection.sendall(HEALTH)
        return connection.recv(65536).startswith(b"HTTP/1.1 503 ")


def test_a_request_with_both_framings_is_the_last_of_its_connection(endpoint: Server) -> None:
    body = json.dumps({"messages": MESSAGES, "model": "greeter"}).encode()
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    answer = closed_after(
        endpoint, CHAT + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + HEALTH
    )

    status, headers, whole = refusal(answer)
    assert (status, headers["connection"]) == (200, "close")
    assert whole["object"] == "chat.completion"


def test_bytes_that_are_no_request_are_refused_in_the_api_s_form(endpoint: Server) -> None:
    status, headers, body = refusal(closed_after(endpoint, b"nonsense\r\n\r\n"))

    assert (status, body["code"], headers["content-type"]) == (400, "invalid_http", "application/json")


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux limits the files of another process")
def test_a_full_file_table_is_one_line_of_the_log(tmp_path: Path) -> None:
    import resource

    log = tmp_path / "log"
    with running(write_small(tmp_path / "models"), log) as server:
        assert server.get("/health").status_code == 200
        pid = server.process.pid
        free, (_, hard) = 3, resource.prlimit(pid, resource.RLIMIT_NOFILE)
        files = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()) + 1
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (files + free, hard))
        connections = [connect(server) for _ in range(free + 5)]
        while not log.read_text():
            assert server.get("/health").status_code == 200
        for connection in connections:
            connection.close()
        with connect(server) as connection:
            connection.sendall(HEALTH)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")

    assert log.read_text() == (
        "WARNING No file is left for a new connection (ulimit -n); clients wait until others leave.\n"
    )
