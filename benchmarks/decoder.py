"""What a decoder's graph costs by how it was written: logits that are not asked for, a cache that is copied.

all logits     the lm_head runs for every token of a prompt
last logits    the same graph with `logits_indices`, as `models add` and the starter's export write it
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from benchmarks.measure import Spread, by_turns, timed
from benchmarks.table import Line, Report
from inference.backends.decoder.graph import DecoderGraph
from inference.backends.decoder.probe import form_of, probe_traits
from inference.backends.decoder.row_decoder import RowDecoder
from inference.backends.session import open_session
from inference.engine.kv_cache import KVCache
from inference.importer.lm_head import add_indices
from inference.settings import Settings
from tools.graphs.decoder_graph import DecoderShape, decoder_graph, random_weights

ROUNDS = 9
PROMPT, ROWS, CONTEXT = 256, 8, 512
SHAPE = DecoderShape(
    vocab=32768, hidden=576, layers=4, heads=9, kv_heads=3, head_dim=64, ffn=1536, context=CONTEXT
)
"""A small model's widths and four of its layers: the lm_head weighs about as much as in half of one."""
NOTE = "Random weights in blockwise 8 bit; a prompt of 256 tokens, and decode steps at 100 tokens a row."


def run() -> Report:
    graph = decoder_graph(SHAPE, random_weights(SHAPE, 0), bits=8)
    with TemporaryDirectory() as folder:
        plain = _opened(graph, Path(folder) / "plain.onnx")
        add_indices(graph)
        last = _opened(graph, Path(folder) / "last.onnx")
        prompt = tuple(range(PROMPT))
        seconds = by_turns(
            {
                "all": timed(lambda: plain.prefill(0, prompt, 0)),
                "last": timed(lambda: last.prefill(0, prompt, 0)),
                "one row": timed(lambda: _step(last, 1), times=5),
                "eight rows": timed(lambda: _step(last, ROWS), times=5),
            },
            rounds=ROUNDS,
        )
        lines = [
            Line("prefill, all logits", _rate(seconds["all"], PROMPT), " tokens/s"),
            _line("prefill, the last logits, to all", seconds, "last", PROMPT, "all", PROMPT),
            Line("decode, 1 row", _rate(seconds["one row"], 1), " tokens/s"),
            _line(f"decode, {ROWS} rows, to 1", seconds, "eight rows", ROWS, "one row", 1),
        ]
        plain.close()
        last.close()
    return Report(lines, [NOTE])


def _opened(model: onnx.ModelProto, path: Path) -> RowDecoder:
    onnx.save(model, path)
    session = open_session(path, Settings())
    graph = DecoderGraph.of(session)
    form = form_of(session, graph, CONTEXT)
    cache = KVCache.allocate(graph.layout, ROWS, CONTEXT)
    decoder = form.decoder(session, form.graph, cache, width=form.width, vocabulary=form.width)
    probe_traits(decoder, cache, graph.logits)
    return decoder


def _step(decoder: RowDecoder, rows: int) -> None:
    decoder.decode(np.arange(rows), np.full(rows, 100))


def _rate(seconds: list[float], tokens: int) -> Spread:
    return Spread.of([tokens / each for each in seconds])


def _line(what: str, seconds: dict[str, list[float]], one: str, tokens: int, other: str, others: int) -> Line:
    rates = [tokens / each for each in seconds[one]]
    to = [others / each for each in seconds[other]]
    return Line(what, Spread.of(rates), " tokens/s", ratio=Spread.ratio(rates, to=to))
