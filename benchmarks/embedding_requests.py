"""What a request adds to the vectors: many texts in one request, many requests at once, and writing numbers.

in process   tokenizer and `TextEmbedder` in this process
HTTP         the same texts in one request to a server process, from a bare socket, as base64 and as numbers
at once      single texts, so many at a time, to the same server; beside one after the other
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np

from benchmarks.bare_client import Connection, post
from benchmarks.embedding_texts import DEPLOYMENT, embedding
from benchmarks.measure import Spread, by_turns, timed
from benchmarks.mixed_texts import mixed
from benchmarks.table import Goal, Line, Report
from inference.api.embeddings import embeddings_body
from inference.api.encoding import encode, written
from inference.api.http_types import json_response
from inference.cards.card import load
from tests.http.servers import running

COUNT = 256
ROUNDS = 7
SINGLES = 64
AT_ONCE = (1, 2, 4, 8, 16, 32)
HTTP_GOAL = Goal(0.9, least=True)
TOGETHER_GOAL = Goal(3.0, least=True)
MANY, DIMENSIONS = 2048, 384
SHARE_GOAL = Goal(5, " %")
MILLISECONDS = 1e3


def run() -> Report:
    texts = mixed(COUNT)
    with (
        TemporaryDirectory() as folder,
        embedding(load(DEPLOYMENT), texts) as in_process,
        running(DEPLOYMENT, Path(folder) / "server.log", INFERENCE_THREADS="0") as server,
    ):
        url, subjects = server.http.base_url, {"in process": in_process}
        for encoding in ("base64", "float"):
            subjects[f"HTTP, {encoding}"] = timed(partial(ask, url, body(texts, encoding)))
        seconds = by_turns(subjects, rounds=ROUNDS)
        singles = by_turns(together(url, mixed(SINGLES, seed=1)), rounds=ROUNDS)
    return Report([*in_one(seconds), *at_once(singles), *writing(seconds["in process"])], [REMARK])


PATH = "/embeddings"
REMARK = (
    "At once: one after the other, a request has all processors for its text and leaves them idle while it "
    "waits for HTTP; company fills those gaps, and makes matrices large enough to multiply well."
)


def ask(url: httpx.URL, what: bytes) -> bytes:
    """Send one request on a connection of its own: the server closes those that idle in other turns."""
    connection = Connection(url)
    try:
        return connection.post(PATH, what)
    finally:
        connection.close()


def body(texts: Sequence[str], encoding: str = "float") -> bytes:
    return json.dumps({"input": list(texts), "encoding_format": encoding}).encode()


def in_one(seconds: Mapping[str, Sequence[float]]) -> Iterator[Line]:
    rates = {name: [COUNT / taken for taken in row] for name, row in seconds.items()}
    for name, rate in rates.items():
        ratio = None if name == "in process" else Spread.ratio(rate, to=rates["in process"])
        goal = HTTP_GOAL if ratio else None
        yield Line(f"{COUNT} texts, {name}", Spread.of(rate), " texts/s", ratio=ratio, goal=goal)


def together(url: httpx.URL, texts: Sequence[str]) -> Mapping[str, Callable[[], tuple[float, float]]]:
    """Return subjects: requests a second and the median request's seconds, for each number at once."""
    bodies = [body([text]) for text in texts]
    return {str(count): partial(_burst, url, bodies, count) for count in AT_ONCE}


def _burst(url: httpx.URL, bodies: Sequence[bytes], count: int) -> tuple[float, float]:
    return asyncio.run(_clients(url, bodies, count))


async def _clients(url: httpx.URL, bodies: Sequence[bytes], count: int) -> tuple[float, float]:
    """Run so many clients on kept connections, each sending its share one after the other."""
    start = time.perf_counter()
    taken = await asyncio.gather(*(post(url, PATH, bodies[first::count]) for first in range(count)))
    whole = time.perf_counter() - start
    return len(bodies) / whole, median(end - begin for times in taken for begin, end in pairwise(times))


def at_once(measured: Mapping[str, Sequence[tuple[float, float]]]) -> Iterator[Line]:
    rates = {name: [rate for rate, _ in rows] for name, rows in measured.items()}
    for name, rows in measured.items():
        ratio = None if name == "1" else Spread.ratio(rates[name], to=rates["1"])
        goal = TOGETHER_GOAL if name == str(AT_ONCE[-1]) else None
        yield Line(
            f"single texts, {name} at once", Spread.of(rates[name]), " texts/s", ratio=ratio, goal=goal
        )
        latency = Spread.of([seconds for _, seconds in rows])
        yield Line(f"the median request, {name} at once", latency, " ms", MILLISECONDS)


def writing(in_process: Sequence[float]) -> Iterator[Line]:
    """Measure writing a large answer, and its share of embedding as many texts of these lengths."""
    vectors = np.random.default_rng(0).standard_normal((MANY, DIMENSIONS), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    def write(encoding: str) -> Any:
        return json_response(embeddings_body("any", written(encode(vectors, encoding)), MANY))

    whole = median(in_process) * MANY / COUNT
    for encoding in ("float", "base64"):
        (taken,) = by_turns({encoding: timed(partial(write, encoding))}, rounds=ROUNDS).values()
        what = f"writing {MANY} x {DIMENSIONS} as {encoding}"
        yield Line(what, Spread.of(taken), " ms", MILLISECONDS)
        share = Spread.of([seconds / whole for seconds in taken])
        yield Line(f"{what}, of embedding as many texts", share, " %", 100, goal=SHARE_GOAL)
