"""Runs a decoder's graph over the KV cache in place: its rows are bound as past and as present, uncopied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.backends.decoder.binding import Binding, logits_shape
from inference.backends.decoder.graph import DecoderGraph
from inference.backends.decoder.row_decoder import GraphTraits, RowDecoder
from inference.contracts import TokenIds
from inference.engine.interfaces import IntArray, Logits
from inference.engine.kv_cache import KVCache

MASK_STEP = 64
"""The width of the decode mask is a multiple of this, so that a bound mask lasts for as many steps."""


class DecodeStep:
    """A decode step of rows 0 to n - 1: arrays to fill, bound once."""

    def __init__(self, rows: Binding, logits: NDArray[Any], count: int) -> None:
        self.run = rows.run
        self._rows = rows
        self._ids = np.zeros((count, 1), np.int64)
        self._positions = np.zeros((count, 1), np.int64)
        self._mask = np.zeros((count, 0), np.int64)
        rows.feed("input_ids", self._ids)
        rows.offer("position_ids", self._positions)
        if count == 1:  # it is one for all rows, which differ; a step of several fails for want of it
            rows.offer("cache_position", self._positions[0])
        rows.select(np.arange(count), 1)
        rows.collect("logits", logits)

    def fill(self, tokens: IntArray, lengths: IntArray, order: IntArray, step: int) -> None:
        """`order` is 0, 1, 2 ... as far as the mask can reach, whose width is a multiple of `step`."""
        self._ids[:, 0] = tokens
        self._positions[:, 0] = lengths - 1
        width = min(len(order), -int(-lengths.max() // step) * step)
        if width != self._mask.shape[1]:
            self._mask = np.zeros((len(lengths), width), np.int64)
            self._rows.feed("attention_mask", self._mask)
        np.less(order[:width], lengths[:, None], out=self._mask)


class InPlaceDecoder(RowDecoder):
    """An `engine.decoder.Decoder` over a graph that writes into the cache that it is given."""

    def __init__(
        self,
        session: ort.InferenceSession,
        graph: DecoderGraph,
        cache: KVCache,
        *,
        width: int,
        vocabulary: int,
        habits: GraphTraits | None = None,
    ) -> None:
        super().__init__(session, graph, cache, width=width, vocabulary=vocabulary, habits=habits)
        self._ones = np.ones((1, cache.length), np.int64)
        self._step_logits = np.empty(cache.rows * width, graph.logits)
        self._rows: dict[int, Binding] = {}
        self._steps: dict[int, DecodeStep] = {}

    def prefill_together(self, row: int, prompts: Sequence[TokenIds]) -> Logits:
        if not self.habits.ragged:
            return super().prefill_together(row, prompts)
        count, lengths = len(prompts), np.array([len(prompt) for prompt in prompts])
        width = int(lengths.max())
        ids = np.zeros((count, width), np.int64)
        for place, prompt in zip(ids, prompts, strict=True):
            place[: len(prompt)] = prompt
        rows = bound_rows(self._session, self._graph, self._cache, slice(row, row + count))
        rows.feed("input_ids", ids)
        rows.feed("attention_mask", (self._order[:width] < lengths[:, None]).astype(np.int64))
        rows.offer("position_ids", np.broadcast_to(self._order[:width], ids.shape).copy())
        last = np.arange(count) * width + lengths - 1
        rows.select(last, 0)
        logits = self._room(*logits_shape(self._graph, count, width, asked=count, keep=0))
        rows.collect("logits", logits)
        rows.run(quiet=self.quiet)
        found = logits.reshape(-1, self._width)
        return self._float32(found if len(found) == count else found[last])

    def decode(self, tokens: IntArray, lengths: IntArray) -> Logits:
        if len(tokens) > 1 and not self.habits.batches:
            return super().decode(tokens, lengths)
        if len(tokens) == 1 and self.habits.company and self._cache.rows > 1:
            return self._decode_in_company(tokens, lengths)
        return self._decode(tokens, lengths)

    def _decode_in_company(self, tokens: IntArray, lengths: IntArray) -> Logits:
        """Row 1 runs a first token too, and gets back what it had there."""
        had = [array[1, :, 0].copy() for array in self._cache.arrays]
        try:
            return self._decode(np.append(tokens, 0), np.append(lengths, 1))[:1]
        finally:
            for array, saved in zip(self._cache.arrays, had, strict=True):
                array[1, :, 0] = saved

    def _decode(self, tokens: IntArray, lengths: IntArray) -> Logits:
        step = self._step(len(tokens))
        step.fill(tokens, lengths, self._order, len(self._order) if self.habits.whole_mask else MASK_STEP)
        step.run()
        return self._float32(self._step_logits[: len(tokens) * self._width].reshape(-1, self._width))

    def close(self) -> None:
        self._rows.clear()
        self._steps.clear()
        super().close()

    def _run_row(self, row: int, tokens: TokenIds, past: int, asked: IntArray, *, keep: int) -> Logits:
        end, rows = past + len(tokens), self._row(row)
        rows.feed("input_ids", np.array([tokens], np.int64))
        rows.feed("attention_mask", self._mask(end))
        rows.offer("position_ids", self._order[None, past:end])
        rows.offer("cache_position", self._order[past:end])
        rows.select(asked, keep)
        logits = self._room(*logits_shape(self._graph, 1, len(tokens), asked=len(asked), keep=keep))
        rows.collect("logits", logits)
        rows.run(quiet=self.quiet)
        return self._float32(logits[0])

    def _mask(self, end: int) -> IntArray:
        if self.habits.whole_mask:
            return (self._order[None] < end).astype(np.int64)
        return self._ones[:, :end]

    def _row(self, row: int) -> Binding:
        if row not in self._rows:
            self._rows[row] = bound_rows(self._session, self._graph, self._cache, slice(row, row + 1))
        return self._rows[row]

    def _step(self, count: int) -> DecodeStep:
        if count not in self._steps:
            rows, positions = logits_shape(self._graph, count, 1, asked=count, keep=1)
            logits = self._step_logits[: count * self._width].reshape(rows, positions, self._width)
            bound = bound_rows(self._session, self._graph, self._cache, slice(0, count))
            self._steps[count] = DecodeStep(bound, logits, count)
        return self._steps[count]


def bound_rows(session: ort.InferenceSession, graph: DecoderGraph, cache: KVCache, rows: slice) -> Binding:
    """A binding whose past and present are the same rows of the cache."""
    binding = Binding(session, graph)
    for past, present, array in zip(graph.past, graph.present, cache.arrays, strict=True):
        value = ort.OrtValue.ortvalue_from_numpy(array[rows])
        binding.share(past, value)
        binding.collect_into(present, value)
    return binding
