"""The Functions host's requests, handed to the service: the request log, and clients that hang up."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from urllib.parse import quote

import azure.functions as func
import pytest
from azurefunctions.extensions.http.fastapi import Request, Response
from starlette.routing import compile_path
from starlette.testclient import TestClient
from starlette.types import Message, Scope

from inference.api.http_types import StreamBroken
from inference.cancellation import finish
from inference.hosts import functions
from inference.hosts.local import LocalHost, triggers
from tests.support.cancelling import Steps, cancel_repeatedly
from tests.support.cards import CHAT, write_card

FORGED = "POST /completions -> 200 ok deployment=forged id=forged"
LINE = re.compile(
    r"POST (?P<path>\S+) -> 404 \S+ deployment=(?P<deployment>\S+) tokens=0\+0 dropped=- label=- \d+\.\d ms "
    r"id=[0-9a-f-]{36}"
)
BREAKS = [
    "\n",
    "\r",
    "\r\n",
    "\x0b",
    "\x0c",
    "\x1b[2K\x1b[1A",
    "\x00",
    "\x08",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A client of the app's catch-all function over one deployment."""
    write_card(tmp_path, CHAT)
    monkeypatch.setenv("INFERENCE_MODELS", str(tmp_path))
    monkeypatch.setenv(functions.ENVIRONMENT, "Development")
    functions._service.cache_clear()
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route(route="{*path}", methods=["GET", "POST"])
    async def catch_all(req: Request) -> Response:
        return await functions.respond(req, req.path_params.get("path", ""))

    yield TestClient(LocalHost(triggers(app, ""), lambda: None))
    functions.service().close()
    functions._service.cache_clear()


def request_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return every line of the request log as a plain formatter writes it."""
    return [
        line
        for record in caplog.records
        if record.name == "inference.requests"
        for line in logging.Formatter("%(message)s").format(record).split("\n")
    ]


@pytest.mark.parametrize("line_break", BREAKS, ids=ascii)
def test_a_path_with_control_characters_is_one_line_of_the_request_log(
    client: TestClient, caplog: pytest.LogCaptureFixture, line_break: str
) -> None:
    with caplog.at_level(logging.INFO, "inference.requests"):
        answer = client.post(f"/unknown{quote(line_break)}{quote(FORGED)}", json={})
    assert answer.status_code == 404
    (line,) = request_lines(caplog)
    assert line.isascii()
    assert line.isprintable()
    assert LINE.fullmatch(line)


@pytest.mark.parametrize("line_break", BREAKS, ids=ascii)
def test_the_route_of_the_worker_s_server_takes_every_path(line_break: str) -> None:
    pattern, *_ = compile_path("/{path:path}")
    match = pattern.match(f"/unknown{line_break}x")

    assert match
    assert match["path"] == f"unknown{line_break}x"


@pytest.mark.parametrize("line_break", BREAKS, ids=ascii)
@pytest.mark.parametrize("header", ["x-ms-client-request-id", "azureml-model-deployment", "user-agent"])
def test_a_header_with_control_characters_is_not_in_the_request_log(
    client: TestClient, caplog: pytest.LogCaptureFixture, header: str, line_break: str
) -> None:
    # As bytes: the test client encodes text as ASCII.
    headers = {b"azureml-model-deployment": b"unknown", header.encode(): f"x{line_break}{FORGED}".encode()}
    with caplog.at_level(logging.INFO, "inference.requests"):
        answer = client.post("/chat/completions", json={}, headers=headers)
    assert answer.status_code == 404
    (line,) = request_lines(caplog)
    match = LINE.fullmatch(line)
    assert match
    assert (match["path"], match["deployment"]) == ("/chat/completions", "-")


# --- clients that hang up


class Body:
    """A stream's body that notes how it ended."""

    def __init__(self, *pieces: bytes, fails: bool = False, endless: bool = False) -> None:
        self.closed = Steps()
        self.pieces = self._pieces(pieces, fails=fails, endless=endless)

    async def begun(self) -> AsyncGenerator[bytes, None]:
        await anext(self.pieces)
        return self.pieces

    async def _pieces(
        self, pieces: tuple[bytes, ...], *, fails: bool, endless: bool
    ) -> AsyncGenerator[bytes, None]:
        try:
            yield b""
            for piece in pieces:
                yield piece
            if fails:
                raise StreamBroken("broken")
            if endless:
                await asyncio.Event().wait()
        finally:
            await finish(self.closed.run("body"))


CLOSED = ["body begins", "body ends"]


class Connection:
    """A client's connection: the messages that it was sent, and the moment at which it leaves."""

    def __init__(self, leaves_after: int | None = None, *, takes: int | None = None) -> None:
        """Leave after so many messages with a body, and take so many messages before sending stalls."""
        self._takes = takes
        self.sent: list[bytes] = []
        self.reached = asyncio.Event()
        self.left = asyncio.Event()
        self._leaves_after = leaves_after
        if leaves_after == 0:
            self.left.set()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self._takes is not None:
            if not self._takes:
                self.reached.set()
                await asyncio.Event().wait()
            self._takes -= 1
        if message["type"] == "http.response.body":
            self.sent.append(message["body"])
            self.reached.set()
        if self._leaves_after is not None and len(self.sent) >= self._leaves_after:
            self.left.set()


async def test_a_stream_is_sent_to_its_end_and_closed() -> None:
    body, connection = Body(b"a", b"b"), Connection()
    await functions.ClosingResponse(await body.begun())({}, connection.receive, connection.send)
    assert connection.sent == [b"a", b"b", b""]
    assert body.closed.noted == CLOSED


@pytest.mark.parametrize("leaves_after", [0, 1])
async def test_a_stream_whose_client_leaves_is_closed_begun_or_not(leaves_after: int) -> None:
    body, connection = Body(b"a", endless=True), Connection(leaves_after)
    await functions.ClosingResponse(await body.begun())({}, connection.receive, connection.send)
    assert body.closed.noted == CLOSED


async def test_a_stream_whose_host_cancels_it_repeatedly_is_closed() -> None:
    body, connection = Body(b"a", endless=True), Connection()
    response = functions.ClosingResponse(await body.begun())
    serving = asyncio.create_task(response({}, connection.receive, connection.send))
    await connection.reached.wait()
    await cancel_repeatedly(serving)
    assert serving.cancelled()
    assert body.closed.noted == CLOSED


@pytest.mark.parametrize("takes", [0, 2], ids=["before its head is sent", "between two pieces"])
@pytest.mark.parametrize("leaves", [False, True], ids=["cancelled", "left"])
async def test_a_stream_that_waits_for_its_client_is_closed(takes: int, leaves: bool) -> None:
    body, connection = Body(b"a", b"b", endless=True), Connection(takes=takes)
    response = functions.ClosingResponse(await body.begun())
    serving = asyncio.create_task(response({}, connection.receive, connection.send))
    await connection.reached.wait()
    await asyncio.sleep(0)
    if leaves:
        connection.left.set()
        await serving
    else:
        await cancel_repeatedly(serving)
    assert body.closed.noted == CLOSED


async def test_a_stream_that_breaks_is_closed_and_cuts_its_connection() -> None:
    body, connection = Body(b"a", fails=True), Connection()
    with pytest.raises(StreamBroken):
        await functions.ClosingResponse(await body.begun())({}, connection.receive, connection.send)
    assert connection.sent == [b"a"]
    assert body.closed.noted == CLOSED


async def test_a_client_that_leaves_while_it_uploads_is_gone(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b'{"messages":', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/chat/completions",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    with caplog.at_level(logging.INFO):
        answer = await functions.respond(Request(scope, receive), "chat/completions")
    assert answer.status_code == 499
    (line,) = request_lines(caplog)
    assert " -> 499 client_gone " in line
    assert "Traceback" not in caplog.text


async def test_a_client_is_not_looked_for_while_its_body_is_read() -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.request", "body": b"}", "more_body": False},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    scope: Scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    http = functions._http_request(Request(scope, receive), "chat/completions", 5)
    assert await http.gone() is False
    assert await http.read(10) == b"{}"
    assert await http.gone() is True
