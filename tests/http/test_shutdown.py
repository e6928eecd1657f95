"""SIGTERM and SIGINT: streams finish or end with an error event, callers that wait are refused."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.http.servers import MESSAGES, PATIENCE, Server, end, running
from tests.http.zoo import write_small

BODY = {"messages": MESSAGES, "model": "endless", "max_tokens": 50_000}
STREAM = {**BODY, "stream": True}
CHAT = "/chat/completions"
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a chat model whose answers do not end by themselves."""
    return write_small(tmp_path_factory.mktemp("models"))


class Waiting:
    """A request whose head is sent, and whose body the server waits for."""

    def __init__(self, server: Server, body: bytes) -> None:
        parts = urlsplit(server.url)
        self.connection = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)
        head = (
            f"POST {CHAT} HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
        )
        self.connection.sendall(head.encode())
        # Sent when the request is being answered, and its body is read.
        assert self.connection.recv(1000).startswith(b"HTTP/1.1 100 ")

    def answer(self) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Return status, headers and body once the server has closed the connection."""
        received = b"".join(iter(lambda: self.connection.recv(65536), b""))
        self.connection.close()
        head, _, body = received.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        return int(status.split()[1]), headers, json.loads(body)


def events(lines: Iterator[str]) -> Iterator[dict[str, Any] | str]:
    """Yield the events of a stream until its end or its cut."""
    for line in lines:
        if line:
            data = line.removeprefix("data: ")
            yield data if data == "[DONE]" else json.loads(data)


@pytest.mark.parametrize("sign", SIGNALS)
def test_streams_end_with_an_error_event_and_waiting_callers_are_refused(
    models: Path, tmp_path: Path, sign: signal.Signals
) -> None:
    log = tmp_path / "log"
    with running(models, log, INFERENCE_SHUTDOWN_SECONDS="1", INFERENCE_SLOTS="1") as server:
        with server.http.stream("POST", CHAT, json=STREAM) as answer:
            lines = answer.iter_lines()
            next(lines)
            waiting = Waiting(server, json.dumps(BODY).encode())
            os.kill(server.process.pid, sign)
            seen: list[dict[str, Any] | str] = []
            with pytest.raises(httpx.RemoteProtocolError):
                seen.extend(events(lines))
        refused = waiting.answer()
        code = end(server.process)

    assert seen[-1] == {
        "error": {
            "code": "shutting_down",
            "message": "The endpoint is shutting down; repeat the request in a few seconds.",
        },
        "choices": [],
    }
    assert (refused[0], refused[1]["retry-after"], refused[2]["code"]) == (503, "5", "shutting_down")
    assert code == (0 if sign is signal.SIGINT else -signal.SIGTERM)
    assert (
        log.read_text()
        == "WARNING A stream was cut: shutting_down (id=" + answer.headers["x-ms-request-id"] + ")\n"
    )


def test_a_stream_that_ends_in_time_is_whole(models: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(models, log) as server:
        with server.http.stream("POST", CHAT, json={**STREAM, "max_tokens": 3_000}) as answer:
            lines = answer.iter_lines()
            next(lines)
            os.kill(server.process.pid, signal.SIGTERM)
            seen = list(events(lines))
        code = end(server.process)

    assert seen[-1] == "[DONE]"
    assert isinstance(seen[-2], dict)
    assert seen[-2]["choices"][0]["finish_reason"] == "length"
    assert seen[-2]["usage"]["completion_tokens"] == 3_000
    assert code == -signal.SIGTERM
    assert log.read_text() == ""


def test_a_whole_answer_that_does_not_end_in_time_is_refused(models: Path, tmp_path: Path) -> None:
    """The request is sent whole before the signal; the stream beside it shows that the model is open."""
    log = tmp_path / "log"
    with running(models, log, INFERENCE_SHUTDOWN_SECONDS="0", INFERENCE_SLOTS="2") as server:
        with server.http.stream("POST", CHAT, json=STREAM) as answer:
            next(answer.iter_lines())
            body = json.dumps(BODY).encode()
            waiting = Waiting(server, body)
            waiting.connection.sendall(body)
            os.kill(server.process.pid, signal.SIGTERM)
            refused = waiting.answer()
        code = end(server.process)

    assert (refused[0], refused[1]["retry-after"], refused[2]["code"]) == (503, "5", "shutting_down")
    assert code == -signal.SIGTERM


def test_connections_without_a_request_are_closed_at_once(models: Path, tmp_path: Path) -> None:
    with running(models, tmp_path / "log") as server:
        parts = urlsplit(server.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as idle:
            assert server.get("/health").status_code == 200
            os.kill(server.process.pid, signal.SIGTERM)
            assert idle.recv(100) == b""
        assert end(server.process) == -signal.SIGTERM
