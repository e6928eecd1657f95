"""Runs a decoder's graph over the KV cache in place: its rows are bound as past and as present, uncopied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.backends.onnx_decoder_graph import DecoderGraph
from inference.contracts import TokenIds
from inference.engine.decoder import Counts, Logits
from inference.engine.kv_cache import KVCache

MASK_STEP = 64
"""The width of the decode mask is a multiple of this, so that a bound mask lasts for as many steps."""


class BoundRows:
    """A binding whose past and present are the same rows of the cache."""

    def __init__(
        self, session: ort.InferenceSession, graph: DecoderGraph, cache: KVCache, rows: slice
    ) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._arrays: dict[str, NDArray[Any]] = {}
        for past, present, array in zip(graph.past, graph.present, cache.arrays, strict=True):
            value = ort.OrtValue.ortvalue_from_numpy(array[rows])
            self._binding.bind_ortvalue_input(past, value)
            self._binding.bind_ortvalue_output(present, value)
        self._keeps = graph.takes_keep

    def keep(self, count: int) -> None:
        """Asks for the logits of the last positions only; 0 asks for those of all."""
        if self._keeps:
            self.feed("num_logits_to_keep", np.array(count, np.int64))

    def feed(self, name: str, array: NDArray[Any]) -> None:
        """Binds an input to an array's own memory, and keeps that alive."""
        self._arrays[name] = array
        self._binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))

    def collect(self, name: str, array: NDArray[Any]) -> None:
        """Binds an output to an array's own memory, and keeps that alive."""
        self._arrays[name] = array
        self._binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_numpy(array))

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)

    def run_for_shape(self, name: str) -> tuple[int, ...]:
        """Runs, leaving the memory of one more output to onnxruntime; gives that output's shape."""
        self._binding.bind_output(name)
        self.run()
        return tuple(self._binding.get_outputs()[-1].shape())


class Step:
    """A decode step of rows 0 to `count` - 1: arrays to fill, bound once."""

    def __init__(self, rows: BoundRows, graph: DecoderGraph, logits: NDArray[Any]) -> None:
        count = len(logits)
        self.run = rows.run
        self._rows = rows
        self._ids = np.zeros((count, 1), np.int64)
        self._positions = np.zeros((count, 1), np.int64)
        self._mask = np.zeros((count, 0), np.int64)
        rows.feed("input_ids", self._ids)
        rows.keep(1)
        if graph.takes_positions:
            rows.feed("position_ids", self._positions)
        rows.collect("logits", logits)

    def fill(self, tokens: Counts, lengths: Counts, order: Counts) -> None:
        """`order` is 0, 1, 2 ... as far as the mask can reach."""
        self._ids[:, 0] = tokens
        self._positions[:, 0] = lengths - 1
        width = min(len(order), -int(-lengths.max() // MASK_STEP) * MASK_STEP)
        if width != self._mask.shape[1]:
            self._mask = np.zeros((len(lengths), width), np.int64)
            self._rows.feed("attention_mask", self._mask)
        np.less(order[:width], lengths[:, None], out=self._mask)


class OnnxDecoder:
    """An `engine.decoder.Decoder` over one session.

    `vocabulary` is the tokenizer's: the ids that a wider lm_head has beyond it are cut off, so never drawn.
    """

    grid = 1

    def __init__(
        self,
        session: ort.InferenceSession,
        graph: DecoderGraph,
        cache: KVCache,
        *,
        width: int,
        vocabulary: int,
    ) -> None:
        self.vocabulary = vocabulary
        self._session: ort.InferenceSession | None = session
        self._graph = graph
        self._cache = cache
        self._width = width
        self._order = np.arange(cache.length)
        self._ones = np.ones((1, cache.length), np.int64)
        self._step_logits = np.empty((cache.rows, 1, width), graph.logits)
        self._chunk_logits = np.empty(0, graph.logits)
        self._rows: dict[int, BoundRows] = {}
        self._steps: dict[int, Step] = {}

    @property
    def scores(self) -> bool:
        return self._graph.takes_keep or not self._graph.last_only

    def prefill(self, row: int, tokens: TokenIds, past: int) -> Logits:
        rows = self._fed(row, tokens, past)
        rows.keep(1)
        logits = self._chunk(1, 1 if self._graph.last_only else len(tokens))
        rows.collect("logits", logits)
        rows.run()
        return self._float32(logits[0, -1])

    def score(self, row: int, tokens: TokenIds, past: int) -> Logits:
        rows = self._fed(row, tokens, past)
        rows.keep(0)
        logits = self._chunk(1, len(tokens))
        rows.collect("logits", logits)
        rows.run()
        return self._float32(logits[0])

    def prefill_together(self, row: int, prompts: Sequence[TokenIds]) -> Logits:
        count, lengths = len(prompts), np.array([len(prompt) for prompt in prompts])
        width = int(lengths.max())
        ids = np.zeros((count, width), np.int64)
        for place, prompt in zip(ids, prompts, strict=True):
            place[: len(prompt)] = prompt
        rows = self._bind(slice(row, row + count))
        rows.feed("input_ids", ids)
        rows.feed("attention_mask", (self._order[:width] < lengths[:, None]).astype(np.int64))
        if self._graph.takes_positions:
            rows.feed("position_ids", np.broadcast_to(self._order[:width], ids.shape).copy())
        rows.keep(0)
        logits = self._chunk(count, width)
        rows.collect("logits", logits)
        rows.run()
        return self._float32(logits[np.arange(count), lengths - 1])

    def decode(self, tokens: Counts, lengths: Counts) -> Logits:
        step = self._step(len(tokens))
        step.fill(tokens, lengths, self._order)
        step.run()
        return self._float32(self._step_logits[: len(tokens), 0])

    def close(self) -> None:
        """Gives back the session, with its threads and weights."""
        self._rows.clear()
        self._steps.clear()
        self._session = None

    def _float32(self, logits: NDArray[Any]) -> Logits:
        return logits[..., : self.vocabulary].astype(np.float32, copy=False)

    def _fed(self, row: int, tokens: TokenIds, past: int) -> BoundRows:
        """One row's binding with some of its tokens to run."""
        end, rows = past + len(tokens), self._row(row)
        rows.feed("input_ids", np.array([tokens], np.int64))
        rows.feed("attention_mask", self._ones[:, :end])
        if self._graph.takes_positions:
            rows.feed("position_ids", self._order[None, past:end])
        return rows

    def _row(self, row: int) -> BoundRows:
        if row not in self._rows:
            self._rows[row] = self._bind(slice(row, row + 1))
        return self._rows[row]

    def _step(self, count: int) -> Step:
        if count not in self._steps:
            bound = self._bind(slice(0, count))
            self._steps[count] = Step(bound, self._graph, self._step_logits[:count])
        return self._steps[count]

    def _bind(self, rows: slice) -> BoundRows:
        assert self._session is not None, "the decoder is closed"
        return BoundRows(self._session, self._graph, self._cache, rows)

    def _chunk(self, rows: int, count: int) -> NDArray[Any]:
        """Room for the logits of so many positions, [rows, count, width]."""
        size = rows * count * self._width
        if self._chunk_logits.size < size:
            self._chunk_logits = np.empty(size, self._graph.logits)
        return self._chunk_logits[:size].reshape(rows, count, self._width)


def logits_width(session: ort.InferenceSession, graph: DecoderGraph, cache: KVCache, *, reach: int) -> int:
    """Runs one token in a mask of `reach` tokens and gives the number of its logits.

    That the run succeeds proves that the graph updates the cache in place and, for graphs with tables of
    rotary angles, that these reach so far. Raises what onnxruntime raises.
    """
    rows = BoundRows(session, graph, cache, slice(0, 1))
    mask = np.zeros((1, reach), np.int64)
    mask[0, 0] = 1
    rows.feed("input_ids", np.zeros((1, 1), np.int64))
    rows.feed("attention_mask", mask)
    rows.keep(1)
    if graph.takes_positions:
        rows.feed("position_ids", np.full((1, 1), reach - 1, np.int64))
    return rows.run_for_shape("logits")[-1]
