"""Pairs a second on a cross-encoder of MiniLM-L6's shape, documents of mixed lengths, tokenising included.

ours                    tokenizer and scorer, sorted by length under a budget of tokens
8 bit                   the same with the model that `write_int8` makes
sentence-transformers   CrossEncoder on torch with the same weights, in a process of its own; 32 a run

The weights are all-MiniLM-L6-v2's with its own pooler, under a head of random ones: what a cross-encoder of
that shape computes, whatever the scores mean.
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
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.embedding_texts import unpack
from benchmarks.measure import Spread, by_turns
from benchmarks.mixed_texts import WORDS, mixed
from benchmarks.table import Goal, Line, Report
from inference.api.rerank import RerankRequest
from inference.api.validation import validate
from inference.backends.encoder import sequence_scorer
from inference.backends.loaded_models import RerankModel
from inference.cards.card import Deployment, load
from inference.importer.int8 import write_int8
from inference.pipeline.request_check import UNCHECKED
from inference.pipeline.text_scoring import lower_ranking
from inference.settings import PROJECT, Settings
from inference.settings.machine import available_processors
from tools.starter_embeddings.package import downloaded

COUNT = 64
ROUNDS = 9
HIDDEN = 384
QUERY = " ".join(WORDS[:8])
DEPLOYMENT = PROJECT / "models" / "starter-embeddings"
SETTINGS = Settings()
PEER = "sentence-transformers"
GOALS = {"ours": Goal(1.3, least=True), "8 bit": Goal(2.5, least=True)}
CARD = {"name": "reranking", "provider": "benchmarks", "type": "rerank", "backend": "onnx-cross-encoder"}


def run() -> Report:
    documents, threads = mixed(COUNT), str(available_processors())
    with TemporaryDirectory() as root, ExitStack() as closing:
        checkpoint, whole, small = (Path(root) / name for name in ("checkpoint", "float", "int8"))
        with downloaded() as archive:
            unpack(archive, checkpoint)
        write_cross_encoder(checkpoint, whole)
        shutil.copytree(whole, small)
        write_int8(whole / "model.onnx", small / "model.onnx")
        peer = closing.enter_context(
            peers.running("cross_encoder", str(checkpoint), threads, pins="sentence_transformers")
        )
        subjects: dict[str, Callable[[], float]] = {
            "ours": closing.enter_context(ranking(load(whole), documents)),
            "8 bit": closing.enter_context(ranking(load(small), documents)),
            PEER: partial(peer.ask, [[QUERY, document] for document in documents]),
        }
        seconds = by_turns(subjects, rounds=ROUNDS)
    return Report(list(lines({name: [COUNT / one for one in taken] for name, taken in seconds.items()})))


def lines(rates: dict[str, list[float]]) -> Iterator[Line]:
    yield Line(PEER, Spread.of(rates[PEER]), " pairs/s")
    for name, goal in GOALS.items():
        ratio = Spread.ratio(rates[name], to=rates[PEER])
        yield Line(f"{name}, to {PEER}", Spread.of(rates[name]), " pairs/s", ratio=ratio, goal=goal)


@contextmanager
def ranking(deployment: Deployment, documents: Sequence[str]) -> Iterator[Callable[[], float]]:
    """Yield a subject: the seconds that a ranking of the documents takes, the request's lowering included."""
    model = sequence_scorer.open(deployment, SETTINGS)
    with asyncio.Runner() as runner:
        yield lambda: runner.run(_seconds(model, documents))
    model.close()


async def _seconds(model: RerankModel, documents: Sequence[str]) -> float:
    start = time.perf_counter()
    request = validate(RerankRequest, {"query": QUERY, "documents": list(documents)})
    await lower_ranking(request, "reranking", model).answer(UNCHECKED)
    return time.perf_counter() - start


def write_cross_encoder(checkpoint: Path, folder: Path) -> None:
    """Make the checkpoint one of a cross-encoder in place, and write the deployment of the same weights."""
    from safetensors.numpy import load_file, save_file

    tensors = load_file(checkpoint / "model.safetensors")
    random = np.random.default_rng(0)
    head = {
        "classifier.weight": random.normal(0, 0.05, (1, HIDDEN)).astype(np.float32),
        "classifier.bias": np.zeros(1, np.float32),
    }
    pooler = [np.asarray(tensors[f"pooler.dense.{name}"], np.float32) for name in ("weight", "bias")]
    renamed = {f"bert.{name}": tensor for name, tensor in tensors.items()} | head
    save_file(renamed, checkpoint / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((checkpoint / "config.json").read_bytes())
    kind = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    (checkpoint / "config.json").write_text(json.dumps({**config, **kind, "label2id": {"LABEL_0": 0}}))
    for name in ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"):
        (checkpoint / name).unlink(missing_ok=True)
    shutil.copytree(DEPLOYMENT, folder, ignore=shutil.ignore_patterns("*.onnx", "modules.json", "1_Pooling"))
    (folder / "model.json").write_text(json.dumps({**CARD, "context": 512}))
    add_head(DEPLOYMENT / "model.onnx", folder / "model.onnx", [*pooler, *head.values()])


def add_head(source: Path, target: Path, weights: Sequence[Any]) -> None:
    """Write the graph of an encoder with the pooler and the classifier of BERT behind it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(source)
    graph, names = model.graph, ("pooler_w", "pooler_b", "classifier_w", "classifier_b")
    for name, weight in zip(names, weights, strict=True):
        graph.initializer.append(numpy_helper.from_array(weight, name))
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.int64), "first"))
    graph.node.extend(
        [
            helper.make_node("Gather", [graph.output[0].name, "first"], ["cls"], axis=1),
            helper.make_node("Gemm", ["cls", "pooler_w", "pooler_b"], ["pooled"], transB=1),
            helper.make_node("Tanh", ["pooled"], ["active"]),
            helper.make_node("Gemm", ["active", "classifier_w", "classifier_b"], ["logits"], transB=1),
        ]
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1]))
    onnx.save(model, target)
