"""One short text as a vector: the bare session, then one more of our layers at a time.

bare      tokenizers, session.run and pooling in numpy: what a script does
embedder  our tokenizer and `TextEmbedder`, from an event loop
service   a whole request in process, from bytes to bytes, without HTTP
HTTP      the same request to a server process, from a client that keeps its connection
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

from benchmarks.bare_client import Connection
from benchmarks.measure import Spread, by_turns, timed
from benchmarks.table import Goal, Line, Report
from inference.api.http_types import HttpRequest, HttpResponse, resolve
from inference.auth.authority import Authenticator
from inference.backends.encoder import text_encoder
from inference.backends.session import session_options
from inference.cards.card import Deployment, load
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import PROJECT, Settings
from tests.http.servers import running
from tests.support import models

if TYPE_CHECKING:
    from inference.contracts import Vectors

ROUNDS = 400
WARMUPS = 20
TEXT = "The quick brown fox jumps over the lazy dog."
DEPLOYMENT = PROJECT / "models" / "starter-embeddings"
BODY = json.dumps({"model": DEPLOYMENT.name, "input": TEXT}).encode()
JSON = {"content-type": "application/json"}
MILLISECONDS = 1e3

Action = Callable[[], object]


def run() -> Report:
    deployment, settings = load(DEPLOYMENT), Settings(models=(DEPLOYMENT,))
    service = Service(settings, Registry(settings), Authenticator.from_settings(settings, loopback=True))
    with TemporaryDirectory() as folder, asyncio.Runner() as runner:
        embedder = _embedder(runner, deployment, settings)
        with running(DEPLOYMENT, Path(folder) / "server.log", INFERENCE_THREADS="0") as server:
            connection = Connection(server.http.base_url)
            actions: dict[str, Action] = {
                "bare session": _bare(deployment, settings),
                "embedder": embedder,
                "service": _service(runner, service),
                "HTTP, bare socket": lambda: connection.post("/embeddings", BODY),
                "HTTP, httpx": lambda: _post(server.http),
                "GET /health, httpx": lambda: server.http.get("/health"),
            }
            subjects = {name: timed(action) for name, action in actions.items()}
            seconds = by_turns(subjects, rounds=ROUNDS, warmups=WARMUPS)
            connection.close()
    service.close()
    return Report(_lines(seconds))


def _lines(seconds: dict[str, list[float]]) -> list[Line]:
    bare, goals = seconds["bare session"], {"HTTP, bare socket": Goal(1.5)}
    return [
        Line(
            name,
            Spread.of(taken),
            " ms",
            MILLISECONDS,
            None if taken is bare else Spread.ratio(taken, to=bare),
            goals.get(name),
        )
        for name, taken in seconds.items()
    ]


def _bare(deployment: Deployment, settings: Settings) -> Callable[[], Vectors]:
    tokenizer = Tokenizer.from_file(str(deployment.file("tokenizer", "tokenizer.json")))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    session = ort.InferenceSession(
        deployment.file("model", "model.onnx"), session_options(settings), providers=["CPUExecutionProvider"]
    )
    names = {node.name for node in session.get_inputs()}

    def embed() -> Vectors:
        ids = np.array([tokenizer.encode(TEXT).ids], np.int64)
        arrays = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        (hidden,) = session.run(None, {name: arrays[name] for name in names})
        vectors: Vectors = np.asarray(hidden).mean(axis=1)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    return embed


def _embedder(runner: asyncio.Runner, deployment: Deployment, settings: Settings) -> Callable[[], Vectors]:
    opened = text_encoder.open(deployment, settings)
    tokenizer, embedder = models.text_tokenizer(opened), models.text_embedder(opened)
    assert tokenizer is not None
    assert embedder is not None
    # Not `Runner.run`, which writes out its result (`repr`) on the way to restoring Ctrl-C.
    until = runner.get_loop().run_until_complete
    return lambda: until(embedder.embed(tokenizer.encode_batch([TEXT], special=True)))


def _service(runner: asyncio.Runner, service: Service) -> Callable[[], HttpResponse]:
    call = HttpRequest("POST", "/embeddings", resolve("embeddings"), JSON, {}, _read, _gone)
    until = runner.get_loop().run_until_complete
    return lambda: until(service.answer(call))


async def _read(_most: int) -> bytes:
    return BODY


async def _gone() -> bool:
    return False


def _post(client: httpx.Client) -> Any:
    return client.post("/embeddings", content=BODY, headers=JSON).raise_for_status()
