"""Tokens a second of one and of eight conversations: the bare session, the engine, the HTTP client.

    bare     a loop of session.run that feeds the cache it got back, as scripts do
    engine   `Generator.generate` in process: token events, no text
    HTTP     streamed answers from a server process, read from bare sockets

All draw the most likely token, and every answer is as long as it was allowed to be.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
import onnxruntime as ort

from benchmarks import endless_chat
from benchmarks.bare_client import events
from benchmarks.measure import Spread, by_turns
from benchmarks.table import Line, Report
from inference.backends.decoder import opening
from inference.backends.decoder.graph import DecoderGraph
from inference.backends.session import session_options
from inference.cards.card import Deployment, load
from inference.contracts import GenerationRequest, Generator, Sampling, Token
from inference.settings import Settings
from tests.http.servers import Server, running
from tests.support import models

ROUNDS = 9
TOKENS = 128
SEVERAL = 8
QUESTION = "How many miles are ten kilometres?"
PROMPT = tuple(range(40, 72))
"""Any 32 tokens: as many as the question has in its template, give or take."""

NOTE = (
    f"The model has starter-chat's shape and random weights; {TOKENS} tokens an answer, the prompt's run "
    "included. More is better."
)

Rate = Callable[[], float]


def run() -> Report:
    settings = Settings()
    with TemporaryDirectory() as temporary, asyncio.Runner() as runner:
        folder = endless_chat.write(Path(temporary))
        deployment = load(folder)
        opened = opening.open(deployment, settings)
        with running(folder, Path(temporary) / "server.log", INFERENCE_THREADS="0") as server:
            rates = by_turns(
                {
                    "bare": _bare(deployment, settings),
                    "engine 1": _engine(runner, models.generator(opened), 1),
                    "engine 8": _engine(runner, models.generator(opened), SEVERAL),
                    "HTTP 1": _http(runner, server, 1),
                    "HTTP 8": _http(runner, server, SEVERAL),
                },
                rounds=ROUNDS,
            )
        opened.close()
    return Report(_lines(rates), [NOTE])


def _lines(rates: dict[str, list[float]]) -> list[Line]:
    return [
        _line("bare session.run, 1 stream", rates["bare"]),
        _line("engine, 1 stream, to the bare session", rates["engine 1"], rates["bare"]),
        _line("engine, 8 streams together, to 1", rates["engine 8"], rates["engine 1"]),
        _line("HTTP, 1 stream, to the engine", rates["HTTP 1"], rates["engine 1"]),
        _line("HTTP, 8 streams together, to the engine's 8", rates["HTTP 8"], rates["engine 8"]),
    ]


def _line(what: str, rate: list[float], to: list[float] | None = None) -> Line:
    return Line(what, Spread.of(rate), " tokens/s", ratio=Spread.ratio(rate, to=to) if to else None)


def _bare(deployment: Deployment, settings: Settings) -> Rate:
    session = ort.InferenceSession(
        deployment.file("model", "model.onnx"), session_options(settings), providers=["CPUExecutionProvider"]
    )
    graph = DecoderGraph.of(session)
    outputs = ["logits", *graph.present]

    def answer() -> float:
        start = time.perf_counter()
        layout = graph.layout
        past: list[Any] = [np.zeros((1, heads, 0, size), layout.dtype) for heads, size in layout.tensors]
        tokens, length = list(PROMPT), len(PROMPT)
        for _ in range(TOKENS):
            feeds = {
                "input_ids": np.array([tokens], np.int64),
                "attention_mask": np.ones((1, length), np.int64),
                "logits_indices": np.array([len(tokens) - 1]),
                **dict(zip(graph.past, past, strict=True)),
            }
            logits, *past = session.run(outputs, feeds)
            tokens, length = [int(logits[0, -1].argmax())], length + 1
        return TOKENS / (time.perf_counter() - start)

    return answer


def _engine(runner: asyncio.Runner, generator: Generator, streams: int) -> Rate:
    request = GenerationRequest(PROMPT, TOKENS, Sampling(temperature=0))

    async def one() -> int:
        return sum([1 async for event in generator.generate(request) if isinstance(event, Token)])

    return lambda: runner.run(_rate(one, streams))


def _http(runner: asyncio.Runner, server: Server, streams: int) -> Rate:
    url = httpx.URL(server.url)
    messages = [{"role": "user", "content": QUESTION}]
    body = {"messages": messages, "max_tokens": TOKENS, "temperature": 0, "stream": True}

    async def one() -> int:
        """Count the chunks without the one with the role, the last one, and the end's mark."""
        return len(await events(url, "/chat/completions", body)) - 3

    return lambda: runner.run(_rate(one, streams))


async def _rate(one: Callable[[], Coroutine[Any, Any, int]], streams: int) -> float:
    """Return tokens a second of so many streams at once."""
    start = time.perf_counter()
    counts = await asyncio.gather(*(one() for _ in range(streams)))
    seconds = time.perf_counter() - start
    assert counts == [TOKENS] * streams, f"{counts} tokens came, not {TOKENS} each"
    return sum(counts) / seconds
