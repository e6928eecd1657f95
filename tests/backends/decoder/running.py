"""Deployments of `tests.support.decoders`, opened, and their answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from inference.backends.decoder import opening, probe
from inference.backends.decoder.graph import DecoderGraph
from inference.backends.decoder.row_decoder import RowDecoder
from inference.backends.loaded_models import LoadedModel
from inference.backends.model_files import head_size
from inference.backends.session import open_session
from inference.cards import card
from inference.contracts import Finish, GenerationRequest, Sampling, Token
from inference.engine.kv_cache import KVCache
from inference.settings import Settings
from tests.support import models
from tests.support.decoders import SHAPE
from tools.graphs.decoder_graph import random_weights

GREEDY = Sampling(temperature=0)
SETTINGS = Settings(threads=1)
WEIGHTS = random_weights(SHAPE, 0)
"""The default weights of `write_decoder`."""


def random_prompt(length: int, seed: int = 0) -> tuple[int, ...]:
    return tuple(np.random.default_rng([length, seed]).integers(0, 250, length).tolist())


@contextmanager
def opened(folder: Path, settings: Settings = SETTINGS) -> Iterator[LoadedModel]:
    found = opening.open(card.load(folder), settings)
    try:
        yield found
    finally:
        found.close()


async def answer(model: LoadedModel, request: GenerationRequest) -> tuple[list[int], Finish]:
    events = [event async for event in models.generator(model).generate(request)]
    finish = events.pop()
    assert isinstance(finish, Finish)
    return [event.id for event in events if isinstance(event, Token)], finish


@contextmanager
def bare(path: Path, *, rows: int = 4, context: int = SHAPE.context) -> Iterator[tuple[RowDecoder, KVCache]]:
    """Yield the decoder of a graph, with the traits that its probe found, and its cache."""
    session = open_session(path, SETTINGS)
    config = json.loads((path.parent / "config.json").read_text())
    graph = DecoderGraph.of(session, head_size(config, {}))
    form = probe.form_of(session, graph, context)
    cache = KVCache.allocate(graph.layout, rows, context)
    decoder = form.decoder(session, form.graph, cache, width=form.width, vocabulary=form.width)
    probe.probe_traits(decoder, cache, graph.logits)
    try:
        yield decoder, cache
    finally:
        decoder.close()
