"""Runs of a decoder's graph that returns its KV cache longer: past and new tokens concatenated.

Each run gets a copy of the rows' pasts and returns one that is longer, whose new end is copied into the
cache.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.backends.decoder.graph import DecoderGraph
from inference.backends.decoder.row_decoder import Binding, RowDecoder, logits_shape
from inference.contracts import TokenIds
from inference.engine.interfaces import IntArray, Logits
from inference.engine.kv_cache import KVCache

PAD_STEP = 128
"""A row's past is padded to a multiple of so many positions: rows of similar length share a run. The width is
a function of the row's own length, or else its neighbours would change its rounding."""

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class PaddedRows:
    """Rows that share a run, with the lengths of their pasts, each padded to `width` before it."""

    rows: list[int]
    pasts: IntArray
    width: int

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Yield the index of each row in the run, the row, and the length of its past."""
        for index, (row, past) in enumerate(zip(self.rows, self.pasts.tolist(), strict=True)):
            yield index, row, past


class ConcatenatedDecoder(RowDecoder):
    """A `Decoder` over a graph whose present is its past with the new tokens after it.

    Padding comes before a row's past, not after: sliding windows and linear biases count positions of the
    buffer, and there the distances between a row's tokens must stay as they are.
    """

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
        self._pasts = [np.empty(0, array.dtype) for array in cache.arrays]
        self._presents = [np.empty(0, array.dtype) for array in cache.arrays]

    def decode(self, tokens: IntArray, lengths: IntArray) -> Logits:
        """Run one token on each row, those of one padded width together."""
        if not self.traits.pads:
            return super().decode(tokens, lengths)
        logits = np.empty((len(tokens), self.vocabulary), np.float32)
        for width, rows in self._groups(lengths):
            ran = rows * 2 if self.traits.needs_companion and len(rows) == 1 else rows
            padded = PaddedRows(ran, lengths[ran] - 1, width)
            found = self._run(padded, tokens[ran, None], np.arange(len(ran)), keep=1)
            logits[rows] = found[: len(rows)]
        return logits

    def _groups(self, lengths: IntArray) -> list[tuple[int, list[int]]]:
        """Return widths of padded pasts, each with the rows of that width; one row each if none may share."""
        groups: dict[int, list[int]] = defaultdict(list)
        for row, past in enumerate((lengths - 1).tolist()):
            groups[min(-(-past // PAD_STEP) * PAD_STEP, self._cache.length - 1)].append(row)
        if self.traits.batches:
            return list(groups.items())
        return [(width, [row]) for width, rows in groups.items() for row in rows]

    def _run_row(self, row: int, tokens: TokenIds, past: int, selected: IntArray, *, keep: int) -> Logits:
        unpadded = PaddedRows([row], np.array([past]), past)
        return self._run(unpadded, np.array([tokens], np.int64), selected, keep=keep)

    def _run(self, padded: PaddedRows, ids: IntArray, selected: IntArray, *, keep: int) -> Logits:
        """Run `ids` [rows, count] after the rows' pasts."""
        (rows, count), width, pasts = ids.shape, padded.width, padded.pasts[:, None]
        binding = Binding(self._session, self._graph)
        presents = self._bind_cache(binding, padded, count)
        binding.bind_input("input_ids", ids)
        columns = np.arange(width + count)
        binding.bind_input("attention_mask", (columns >= width - pasts).astype(np.int64))
        binding.bind_optional("position_ids", pasts + np.arange(count))
        binding.bind_optional("cache_position", columns[width:])
        binding.select_branch(past=width > 0)
        binding.select_logits(selected, keep)
        shape = logits_shape(self._graph, rows, count, selected=len(selected), keep=keep)
        logits = self._logits_memory(*shape)
        binding.bind_output("logits", logits)
        binding.run(quiet=self.quiet)
        for array, present in zip(self._cache.arrays, presents, strict=True):
            for index, row, past in padded:
                array[row, :, past : past + count] = present[index, :, width:]
        return self._float32(logits.reshape(-1, self._width))

    def _bind_cache(self, binding: Binding, padded: PaddedRows, count: int) -> list[Array]:
        """Bind copies of the rows' pasts, and memory for the presents, which is returned."""
        presents, rows, width = [], len(padded.rows), padded.width
        for tensor, array in enumerate(self._cache.arrays):
            heads, size = array.shape[1], array.shape[3]
            copied = _reused(self._pasts, tensor, (rows, heads, width, size))
            for index, row, past in padded:
                copied[index, :, : width - past] = 0
                copied[index, :, width - past :] = array[row, :, :past]
            presents.append(_reused(self._presents, tensor, (rows, heads, width + count, size)))
            binding.bind_input(self._graph.past[tensor], copied)
            binding.bind_output(self._graph.present[tensor], presents[-1])
        return presents


def _reused(memory: list[Array], index: int, shape: tuple[int, ...]) -> Array:
    """Return an array over memory that runs share, made larger where a run needs more."""
    size = prod(shape)
    if memory[index].size < size:
        memory[index] = np.empty(size, memory[index].dtype)
    return memory[index][:size].reshape(shape)
