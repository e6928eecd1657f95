"""What a remote deployment costs: this app in front of a second instance, beside the second instance alone.

Both answer a bare socket, over kept connections. The delay of a stream's events is measured with an endpoint
in this process, which writes the time into every event and sends one each `PACE` seconds.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from benchmarks.bare_client import Connection, events
from benchmarks.measure import Spread, by_turns, timed
from benchmarks.table import Goal, Line, Report
from tests.backends.remote.upstream import Exchange, chunk, event, upstream
from tests.http.scripts import write_script
from tests.http.servers import Server, running

ROUNDS = 40
TIMES = 25
STREAM_ROUNDS = 10
TOKENS = 400
EVENTS = 100
PACE = 0.004
MILLISECONDS = 1000.0
PATH = "/chat/completions"
SHORT = {"messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 1}
LONG = {**SHORT, "max_tokens": TOKENS, "stream": True}


def run() -> Report:
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_script(folder / "there", (b"la ", b"li ", b"lo "), name="far", context=4096, loops=True)
        with (
            running(folder / "there", folder / "there.log") as there,
            running(_here(folder / "here", there.url), folder / "here.log") as here,
        ):
            lines = [*_requests(there, here), *_streams(there, here)]
        return Report([*lines, *asyncio.run(_late(folder))])


def _here(folder: Path, url: str) -> Path:
    """Write a remote deployment into a folder, and return that."""
    folder.mkdir()
    remote = {"url": url, "dialect": "azure-ai-inference"}
    card: dict[str, Any] = {"name": "far", "provider": "benchmarks", "type": "chat-completions"}
    parameters: dict[str, Any] = {"parameters": {"max_tokens": {}}}
    (folder / "model.json").write_text(
        json.dumps({**card, **parameters, "backend": "remote", "remote": remote})
    )
    return folder


def _requests(there: Server, here: Server) -> list[Line]:
    body = json.dumps(SHORT).encode()
    connections = {"there": Connection(httpx.URL(there.url)), "here": Connection(httpx.URL(here.url))}
    subjects = {
        name: timed(lambda connection=connection: connection.post(PATH, body), times=TIMES)  # type: ignore[misc]
        for name, connection in connections.items()
    }
    seconds = by_turns(subjects, rounds=ROUNDS)
    for connection in connections.values():
        connection.close()
    added = [more - less for more, less in zip(seconds["here"], seconds["there"], strict=True)]
    return [
        Line("a request to the endpoint", Spread.of(seconds["there"]), " ms", MILLISECONDS),
        Line("the same through a remote deployment", Spread.of(seconds["here"]), " ms", MILLISECONDS),
        Line("added to a request", Spread.of(added), " ms", MILLISECONDS, goal=Goal(2, " ms")),
    ]


def _streams(there: Server, here: Server) -> list[Line]:
    seconds = by_turns({"there": _each(there), "here": _each(here)}, rounds=STREAM_ROUNDS)
    return [
        Line(
            "an event of a stream at full speed, from the endpoint",
            Spread.of(seconds["there"]),
            " ms",
            MILLISECONDS,
        ),
        Line("the same through a remote deployment", Spread.of(seconds["here"]), " ms", MILLISECONDS),
    ]


def _each(server: Server) -> Callable[[], float]:
    """Return a subject: the seconds of an event, of a stream that is read to its end."""

    def subject() -> float:
        start = time.perf_counter()
        answer = asyncio.run(events(httpx.URL(server.url), PATH, LONG))
        return (time.perf_counter() - start) / len(answer)

    return subject


async def _late(folder: Path) -> list[Line]:
    """Measure how late events are, and how much later through a remote deployment."""

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        for _ in range(EVENTS):
            await exchange.send_chunk(event(chunk(f"{time.perf_counter()} ")))
            await asyncio.sleep(PACE)
        await exchange.send_chunk(event(chunk("", reason="stop")) + b"data: [DONE]\n\n")
        await exchange.end()

    async with upstream(script) as endpoint:
        models = _here(folder / "paced", endpoint.url)
        with running(models, folder / "paced.log") as here:
            urls = {"there": endpoint.url, "here": here.url}
            late: dict[str, list[float]] = {name: [] for name in urls}
            for _ in range(STREAM_ROUNDS):
                for name, url in urls.items():
                    late[name].append(statistics.median(await _delays(url)))
    added = [more - less for more, less in zip(late["here"], late["there"], strict=True)]
    return [
        Line("an event of a paced stream is late", Spread.of(late["there"]), " ms", MILLISECONDS),
        Line("the same through a remote deployment", Spread.of(late["here"]), " ms", MILLISECONDS),
        Line("added to an event", Spread.of(added), " ms", MILLISECONDS, goal=Goal(1, " ms")),
    ]


async def _delays(url: str) -> list[float]:
    """Return the seconds between the sending and the reading of each event."""
    delays = []
    body = json.dumps({**SHORT, "stream": True})
    async with (
        httpx.AsyncClient(trust_env=False) as client,
        client.stream(
            "POST", url + PATH, content=body, headers={"Content-Type": "application/json"}
        ) as response,
    ):
        async for line in response.aiter_lines():
            choices = json.loads(line[6:])["choices"] if line.startswith("data: {") else []
            texts = [choice["delta"].get("content") for choice in choices]
            delays += [time.perf_counter() - float(text) for text in texts if text]
    return delays
