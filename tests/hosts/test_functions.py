"""The Functions host's requests, handed to the service: the request log."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import azure.functions as func
import pytest
from azurefunctions.extensions.http.fastapi import Request, Response
from starlette.testclient import TestClient

from inference.hosts import functions
from inference.hosts.local import LocalHost, triggers
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
