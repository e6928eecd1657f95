"""Fresh server processes on the starter deployments, timed from the command to a first answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.measure import Spread, by_turns
from benchmarks.table import Goal, Line, Report
from inference.settings import PROJECT
from tests.http.servers import end, spawn, url_of

ROUNDS = 7
GOAL = Goal(3, " s")
CHAT_MODEL = PROJECT / "models" / "starter-chat" / "model.onnx"

Ask = Callable[[httpx.Client], None]


def run() -> Report:
    asked: dict[str, Ask] = {"GET /health": _health, "the first embedding": _embedding}
    notes = []
    if CHAT_MODEL.is_file():
        asked["the first chat token"] = _chat
    else:
        notes.append("The first chat token is left out: starter-chat has no model.onnx here.")
    with TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        seconds = by_turns({what: partial(_seconds, ask, log) for what, ask in asked.items()}, rounds=ROUNDS)
    return Report(_lines(seconds), notes)


def _lines(seconds: Mapping[str, list[float]]) -> list[Line]:
    return [Line(f"to {what}", Spread.of(taken), " s", goal=GOAL) for what, taken in seconds.items()]


def _seconds(ask: Ask, log: Path) -> float:
    with httpx.Client(trust_env=False, timeout=60) as client:
        start = time.perf_counter()
        process = spawn({}, log, "--port=0")
        try:
            client.base_url = httpx.URL(url_of(process, log))
            ask(client)
            return time.perf_counter() - start
        finally:
            process.terminate()
            end(process)


def _health(client: httpx.Client) -> None:
    client.get("/health").raise_for_status()


def _embedding(client: httpx.Client) -> None:
    body = {"model": "starter-embeddings", "input": "A first text."}
    client.post("/embeddings", json=body).raise_for_status()


def _chat(client: httpx.Client) -> None:
    """Read until the first chunk with text; the one before it only has the role."""
    body = {"model": "starter-chat", "messages": [{"role": "user", "content": "Hello!"}], "stream": True}
    with client.stream("POST", "/chat/completions", json=body) as response:
        response.raise_for_status()
        lines = (line for line in response.iter_lines() if line)
        next(lines), next(lines)
