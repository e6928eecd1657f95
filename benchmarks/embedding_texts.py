"""Texts a second on all-MiniLM-L6-v2, texts of mixed lengths, tokenising included, all on the same threads.

ours                    tokenizer and `TextEmbedder`, sorted by length under a budget of tokens
8 bit                   the same with the model that `write_int8` makes
sentence-transformers   on torch, in a process of its own; sorted, 32 a run
arrival order           onnxruntime as common libraries use it: 256 a run, padded to the longest
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import numpy as np

from benchmarks import peers
from benchmarks.measure import Spread, by_turns
from benchmarks.mixed_texts import mixed
from benchmarks.table import Goal, Line, Report
from inference.backends.encoder import text_encoder
from inference.backends.encoder.pooling import EmbeddingHead
from inference.backends.loaded_models import LoadedModel
from inference.backends.session import open_session
from inference.cards.card import Deployment, load
from inference.importer.int8 import cosine_loss, write_int8
from inference.prompt.tokenizer import Tokenizer
from inference.settings import PROJECT, Settings
from inference.settings.machine import available_processors
from tests.support import models
from tools.starter_embeddings.package import MODEL_FOLDER, downloaded

COUNT = 256
ROUNDS = 7
ARRIVAL_BATCH = 256
DEPLOYMENT = PROJECT / "models" / "starter-embeddings"
SETTINGS = Settings(models=(DEPLOYMENT,))
GOALS = {"sentence-transformers": Goal(2.0, least=True), "arrival order": Goal(5.0, least=True)}
INT8_GOAL = Goal(2.0, least=True)


def run() -> Report:
    texts, threads = mixed(COUNT), str(available_processors())
    with TemporaryDirectory() as root, ExitStack() as closing:
        checkpoint, small = Path(root) / "checkpoint", in_int8(Path(root) / "int8")
        with downloaded() as archive:
            unpack(archive, checkpoint)
        peer = closing.enter_context(peers.running("sentence_transformers", str(checkpoint), threads))
        subjects: dict[str, Callable[[], float]] = {
            "ours": closing.enter_context(embedding(load(DEPLOYMENT), texts)),
            "8 bit": closing.enter_context(embedding(small, texts)),
            "sentence-transformers": partial(peer.ask, texts),
            "arrival order": in_arrival_order(load(DEPLOYMENT), texts),
        }
        rates = {
            name: [COUNT / seconds for seconds in taken]
            for name, taken in by_turns(subjects, rounds=ROUNDS).items()
        }
        closing.close()
        loss = cosine_loss(load(DEPLOYMENT), small, SETTINGS)
    return Report(list(lines(rates)), [f"8 bit: {loss}."])


def lines(rates: dict[str, list[float]]) -> Iterator[Line]:
    ours = rates["ours"]
    yield Line("ours", Spread.of(ours), " texts/s")
    for name, goal in GOALS.items():
        ratio = Spread.ratio(ours, to=rates[name])
        yield Line(f"{name}; ours to it", Spread.of(rates[name]), " texts/s", ratio=ratio, goal=goal)
    eight = rates["8 bit"]
    ratio = Spread.ratio(eight, to=ours)
    yield Line("ours in 8 bit, to ours", Spread.of(eight), " texts/s", ratio=ratio, goal=INT8_GOAL)


@contextmanager
def embedding(deployment: Deployment, texts: Sequence[str]) -> Iterator[Callable[[], float]]:
    """Yield a subject: the seconds that the texts take."""
    model = text_encoder.open(deployment, SETTINGS)
    with asyncio.Runner() as runner:
        yield lambda: runner.run(_seconds(model, texts))
    model.close()


async def _seconds(model: LoadedModel, texts: Sequence[str]) -> float:
    start = time.perf_counter()
    await models.text_embedder(model).embed(models.text_tokenizer(model).encode_batch(texts, special=True))
    return time.perf_counter() - start


def in_arrival_order(deployment: Deployment, texts: Sequence[str]) -> Callable[[], float]:
    """Return a subject: the same session, used as libraries do that keep the texts in sequence."""
    session = open_session(deployment.file("model", "model.onnx"), SETTINGS)
    tokenizer = Tokenizer.open(deployment.file("tokenizer", "tokenizer.json"))
    head = EmbeddingHead("mean", normalize=True)

    def embed() -> float:
        start = time.perf_counter()
        for first in range(0, len(texts), ARRIVAL_BATCH):
            rows = tokenizer.encode_batch(texts[first : first + ARRIVAL_BATCH], special=True)
            lengths = np.array([len(row) for row in rows])
            ids = np.zeros((len(rows), lengths.max()), np.int64)
            mask = (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64)
            for place, row in zip(ids, rows, strict=True):
                place[: len(row)] = row
            feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            (hidden,) = session.run(None, feeds)
            head(np.asarray(hidden), lengths)
        return time.perf_counter() - start

    return embed


def in_int8(folder: Path) -> Deployment:
    """Return the deployment, its model in 8 bit."""
    shutil.copytree(DEPLOYMENT, folder, ignore=shutil.ignore_patterns("*.onnx"))
    write_int8(DEPLOYMENT / "model.onnx", folder / "model.onnx")
    card = json.loads((folder / "model.json").read_bytes())
    (folder / "model.json").write_text(json.dumps({**card, "name": "in-8-bit"}))
    return load(folder)


def unpack(archive: ZipFile, folder: Path) -> None:
    """Write the checkpoint that the deployment was made from."""
    for name in archive.namelist():
        if name.startswith(f"{MODEL_FOLDER}/") and not name.endswith("/"):
            path = folder / name.removeprefix(f"{MODEL_FOLDER}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))
