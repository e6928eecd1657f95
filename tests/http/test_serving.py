"""Starting and stopping `python -m inference serve`."""

from __future__ import annotations

import json
import shlex
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.http.servers import MESSAGES, PATIENCE, end, running, spawn, url_of
from tests.support.decoders import write_decoder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one deployment."""
    folder = tmp_path_factory.mktemp("models")
    write_decoder(folder)
    return folder


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that someone else listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def post(url: str, headers: dict[str, str], body: str) -> httpx.Response:
    return httpx.post(url, headers=headers, content=body, trust_env=False, timeout=PATIENCE)


def refused(log: Path, *options: str, **settings: str) -> str:
    """The one sentence of a server that does not start."""
    process = spawn(settings, log, *options)
    assert end(process) == 1
    sentence = log.read_text()
    assert "Traceback" not in sentence
    assert len(sentence.splitlines()) == 1
    return sentence


def test_other_machines_are_not_served_without_keys(models: Path, tmp_path: Path) -> None:
    sentence = refused(tmp_path / "log", "--host=0.0.0.0", "--port=0", INFERENCE_MODELS=str(models))

    assert "Refusing to serve 0.0.0.0 without keys" in sentence
    assert "INFERENCE_API_KEYS" in sentence


def test_port_that_is_taken(models: Path, tmp_path: Path, taken: int) -> None:
    sentence = refused(tmp_path / "log", f"--port={taken}", INFERENCE_MODELS=str(models))

    assert f"Cannot listen on 127.0.0.1:{taken}: Address already in use." in sentence
    assert f"PORT={taken + 1}" in sentence


def test_host_that_does_not_exist(models: Path, tmp_path: Path) -> None:
    sentence = refused(
        tmp_path / "log", "--host=nowhere.invalid", INFERENCE_MODELS=str(models), INFERENCE_API_KEYS="k"
    )

    assert "Cannot listen on nowhere.invalid" in sentence


def test_setting_that_cannot_be_read(tmp_path: Path) -> None:
    sentence = refused(tmp_path / "log", "--port=0", INFERENCE_SLOTS="many")

    assert sentence.startswith("INFERENCE_SLOTS is 'many'")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_clean_stop_with_an_open_model(models: Path, tmp_path: Path, sign: signal.Signals) -> None:
    log = tmp_path / "log"
    process = spawn({"INFERENCE_MODELS": str(models)}, log, "--port=0")
    try:
        body = json.dumps({"messages": MESSAGES, "max_tokens": 1})
        answer = post(f"{url_of(process, log)}/chat/completions", {"Content-Type": "application/json"}, body)
    finally:
        process.send_signal(sign)
        code = end(process)

    assert answer.status_code == 200
    assert code == (0 if sign is signal.SIGINT else -signal.SIGTERM)
    assert log.read_text() == ""


def test_greeting_names_the_deployments_and_shows_a_call_that_works(models: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = spawn({"INFERENCE_MODELS": str(models), "INFERENCE_API_KEYS": "secret-1"}, log, "--port=0")
    try:
        assert process.stdout is not None
        greeting = "".join(iter(process.stdout.readline, "  Ctrl-C stops.\n"))
        line = next(line for line in greeting.splitlines() if line.startswith("  curl "))
        url, headers, body = curl(line.replace("$KEY", "secret-1"))
        answer = post(url, headers, body)
    finally:
        process.terminate()
        end(process)

    assert answer.json()["object"] == "chat.completion"
    assert "tiny-chat" in greeting
    assert "secret-1" not in greeting


def curl(line: str) -> tuple[str, dict[str, str], str]:
    """The URL, the headers and the body of a call as curl has it."""
    _, url, *options = shlex.split(line)
    pairs = list(zip(options[::2], options[1::2], strict=True))
    headers = dict(value.split(": ", 1) for option, value in pairs if option == "-H")
    (body,) = (value for option, value in pairs if option == "-d")
    return url, headers, body


def test_folder_that_does_not_exist(tmp_path: Path) -> None:
    with running(tmp_path / "nowhere", tmp_path / "log") as server:
        answer = server.post("/chat/completions", {"messages": MESSAGES})

    assert answer.status_code == 404
    assert answer.json()["message"] == "Not Found: no deployment serves chat/completions."
    assert "nowhere, which is not a folder" in (tmp_path / "log").read_text()
