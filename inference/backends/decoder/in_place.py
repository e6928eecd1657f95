"""Runs of a decoder's graph over the KV cache in place: its rows are bound as past and as present."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.backends.decoder.graph import DecoderGraph
from inference.backends.decoder.row_decoder import Binding, RowDecoder, logits_shape
from inference.contracts import TokenIds
from inference.engine.interfaces import IntArray, Logits
from inference.engine.kv_cache import KVCache

MASK_STEP = 64
"""The width of the decode mask is a multiple of this, so that a bound mask lasts for as many steps."""


class DecodeStep:
    """A decode step of rows 0 to n - 1: arrays to fill, bound once."""

    def __init__(self, binding: Binding, logits: NDArray[Any], count: int) -> None:
        """Bind the arrays of `count` rows, and the memory of their logits."""
        self.run = binding.run
        self._binding = binding
        self._ids = np.zeros((count, 1), np.int64)
        self._positions = np.zeros((count, 1), np.int64)
        self._mask = np.zeros((count, 0), np.int64)
        binding.bind_input("input_ids", self._ids)
        binding.bind_optional("position_ids", self._positions)
        if count == 1:  # one position for all rows, which differ: a step of several fails without it
            binding.bind_optional("cache_position", self._positions[0])
        binding.select_logits(np.arange(count), 1)
        binding.bind_output("logits", logits)

    def fill(self, tokens: IntArray, lengths: IntArray, columns: IntArray, step: int) -> None:
        """Fill in the tokens at the ends of rows of these lengths.

        `columns` are 0, 1, 2 ... as far as the mask can reach; its width is a multiple of `step`.
        """
        self._ids[:, 0] = tokens
        self._positions[:, 0] = lengths - 1
        width = min(len(columns), -int(-lengths.max() // step) * step)
        if width != self._mask.shape[1]:
            self._mask = np.zeros((len(lengths), width), np.int64)
            self._binding.bind_input("attention_mask", self._mask)
        np.less(columns[:width], lengths[:, None], out=self._mask)


class InPlaceDecoder(RowDecoder):
    """A `Decoder` over a graph that writes new keys and values into the cache bound to it."""

    def __init__(
        self,
        session: ort.InferenceSession,
        graph: DecoderGraph,
        cache: KVCache,
        *,
        width: int,
        vocabulary: int,
    ) -> None:
        super().__init__(session, graph, cache, width=width, vocabulary=vocabulary)
        self._ones = np.ones((1, cache.length), np.int64)
        self._step_logits = np.empty(cache.rows * width, graph.logits)
        self._bindings: dict[int, Binding] = {}
        """Rows to their bindings."""
        self._steps: dict[int, DecodeStep] = {}
        """Numbers of rows to their steps."""

    def prefill_together(self, row: int, prompts: Sequence[TokenIds]) -> Logits:
        """Run whole prompts, padded to the longest, in one run."""
        if not self.traits.ragged:
            return super().prefill_together(row, prompts)
        count, lengths = len(prompts), np.array([len(prompt) for prompt in prompts])
        width = int(lengths.max())
        ids = np.zeros((count, width), np.int64)
        for padded, prompt in zip(ids, prompts, strict=True):
            padded[: len(prompt)] = prompt
        binding = bound_rows(self._session, self._graph, self._cache, slice(row, row + count))
        columns = self._positions[:width]
        binding.bind_input("input_ids", ids)
        binding.bind_input("attention_mask", (columns < lengths[:, None]).astype(np.int64))
        binding.bind_optional("position_ids", np.broadcast_to(columns, ids.shape).copy())
        last = np.arange(count) * width + lengths - 1
        binding.select_logits(last, 0)
        shape = logits_shape(self._graph, count, width, selected=count, keep=0)
        logits = self._logits_memory(*shape)
        binding.bind_output("logits", logits)
        binding.run(quiet=self.quiet)
        found = logits.reshape(-1, self._width)
        return self._float32(found if len(found) == count else found[last])

    def decode(self, tokens: IntArray, lengths: IntArray) -> Logits:
        """Run one token on each row, all in one run."""
        if len(tokens) > 1 and not self.traits.batches:
            return super().decode(tokens, lengths)
        if len(tokens) == 1 and self.traits.needs_companion and self._cache.rows > 1:
            return self._decode_with_companion(tokens, lengths)
        return self._decode(tokens, lengths)

    def _decode_with_companion(self, tokens: IntArray, lengths: IntArray) -> Logits:
        """Run a first token in row 1 too, and restore the cache there."""
        saved = [array[1, :, 0].copy() for array in self._cache.arrays]
        try:
            return self._decode(np.append(tokens, 0), np.append(lengths, 1))[:1]
        finally:
            for array, first in zip(self._cache.arrays, saved, strict=True):
                array[1, :, 0] = first

    def _decode(self, tokens: IntArray, lengths: IntArray) -> Logits:
        step = self._step(len(tokens))
        mask_step = len(self._positions) if self.traits.whole_mask else MASK_STEP
        step.fill(tokens, lengths, self._positions, mask_step)
        step.run()
        return self._float32(self._step_logits[: len(tokens) * self._width].reshape(-1, self._width))

    def close(self) -> None:
        """Release the session and all that is bound to it."""
        self._bindings.clear()
        self._steps.clear()
        super().close()

    def _run_row(self, row: int, tokens: TokenIds, past: int, selected: IntArray, *, keep: int) -> Logits:
        end, binding = past + len(tokens), self._binding(row)
        binding.bind_input("input_ids", np.array([tokens], np.int64))
        binding.bind_input("attention_mask", self._mask(end))
        binding.bind_optional("position_ids", self._positions[None, past:end])
        binding.bind_optional("cache_position", self._positions[past:end])
        binding.select_logits(selected, keep)
        shape = logits_shape(self._graph, 1, len(tokens), selected=len(selected), keep=keep)
        logits = self._logits_memory(*shape)
        binding.bind_output("logits", logits)
        binding.run(quiet=self.quiet)
        return self._float32(logits[0])

    def _mask(self, end: int) -> IntArray:
        if self.traits.whole_mask:
            return (self._positions[None] < end).astype(np.int64)
        return self._ones[:, :end]

    def _binding(self, row: int) -> Binding:
        if row not in self._bindings:
            self._bindings[row] = bound_rows(self._session, self._graph, self._cache, slice(row, row + 1))
        return self._bindings[row]

    def _step(self, count: int) -> DecodeStep:
        if count not in self._steps:
            rows, positions = logits_shape(self._graph, count, 1, selected=count, keep=1)
            logits = self._step_logits[: count * self._width].reshape(rows, positions, self._width)
            binding = bound_rows(self._session, self._graph, self._cache, slice(0, count))
            self._steps[count] = DecodeStep(binding, logits, count)
        return self._steps[count]


def bound_rows(session: ort.InferenceSession, graph: DecoderGraph, cache: KVCache, rows: slice) -> Binding:
    """Return a binding whose past and present are the same rows of the cache."""
    binding = Binding(session, graph)
    for past, present, array in zip(graph.past, graph.present, cache.arrays, strict=True):
        value = ort.OrtValue.ortvalue_from_numpy(array[rows])
        binding.bind_input_value(past, value)
        binding.bind_output_value(present, value)
    return binding
