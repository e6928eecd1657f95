"""Runs a decoder's graph that gives its KV cache back longer: past and new tokens concatenated.

Each run gets a copy of the rows' pasts and gives back one longer, whose new end is copied into the cache.
"""

from __future__ import annotations

from collections import defaultdict
from math import prod
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

PAD_STEP = 128
"""Before its past a row is padded to a multiple of so many positions: rows that are near in length share a
run. The width is a function of the row's own length, or else its neighbours would change its rounding."""

Array = NDArray[Any]


class ConcatenatedDecoder(RowDecoder):
    """An `engine.decoder.Decoder` over a graph whose present is its past with the new tokens behind.

    Padding stands before a row's past, not behind: sliding windows and linear biases count positions of the
    buffer, and there the distances between a row's tokens must stay what they are.
    """

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
        self._pasts = [np.empty(0, array.dtype) for array in cache.arrays]
        self._presents = [np.empty(0, array.dtype) for array in cache.arrays]

    def decode(self, tokens: IntArray, lengths: IntArray) -> Logits:
        if not self.habits.pads:
            return super().decode(tokens, lengths)
        logits = np.empty((len(tokens), self.vocabulary), np.float32)
        for width, rows in self._groups(lengths):
            ran = rows * 2 if self.habits.company and len(rows) == 1 else rows
            asked = np.arange(len(ran))
            found = self._run(ran, tokens[ran, None], lengths[ran] - 1, width, asked, keep=1)
            logits[rows] = found[: len(rows)]
        return logits

    def _groups(self, lengths: IntArray) -> list[tuple[int, list[int]]]:
        """Widths of padded pasts, each with the rows that run so; one row each where rows must not share."""
        groups: dict[int, list[int]] = defaultdict(list)
        for row, past in enumerate((lengths - 1).tolist()):
            groups[min(-(-past // PAD_STEP) * PAD_STEP, self._cache.length - 1)].append(row)
        if self.habits.batches:
            return list(groups.items())
        return [(width, [row]) for width, rows in groups.items() for row in rows]

    def _run_row(self, row: int, tokens: TokenIds, past: int, asked: IntArray, *, keep: int) -> Logits:
        ids, pasts = np.array([tokens], np.int64), np.array([past])
        return self._run([row], ids, pasts, past, asked, keep=keep)

    def _run(
        self, rows: list[int], ids: IntArray, pasts: IntArray, width: int, asked: IntArray, *, keep: int
    ) -> Logits:
        """Tokens [rows, count] after `pasts` [rows], each of them padded to `width` in front."""
        count = ids.shape[1]
        binding = Binding(self._session, self._graph)
        presents = self._bind_cache(binding, rows, pasts, width, count)
        binding.feed("input_ids", ids)
        columns = np.arange(width + count)
        binding.feed("attention_mask", (columns >= width - pasts[:, None]).astype(np.int64))
        binding.offer("position_ids", pasts[:, None] + np.arange(count))
        binding.offer("cache_position", columns[width:])
        binding.branch(width > 0)
        binding.select(asked, keep)
        logits = self._room(*logits_shape(self._graph, len(rows), count, asked=len(asked), keep=keep))
        binding.collect("logits", logits)
        binding.run(quiet=self.quiet)
        for array, present in zip(self._cache.arrays, presents, strict=True):
            for place, (row, past) in enumerate(zip(rows, pasts.tolist(), strict=True)):
                array[row, :, past : past + count] = present[place, :, width:]
        return self._float32(logits.reshape(-1, self._width))

    def _bind_cache(
        self, binding: Binding, rows: list[int], pasts: IntArray, width: int, count: int
    ) -> list[Array]:
        """Binds copies of the rows' pasts, and memory for what comes back, which is given."""
        presents = []
        for index, array in enumerate(self._cache.arrays):
            heads, size = array.shape[1], array.shape[3]
            past = _grown(self._pasts, index, (len(rows), heads, width, size))
            for place, (row, length) in enumerate(zip(rows, pasts.tolist(), strict=True)):
                past[place, :, : width - length] = 0
                past[place, :, width - length :] = array[row, :, :length]
            presents.append(_grown(self._presents, index, (len(rows), heads, width + count, size)))
            binding.feed(self._graph.past[index], past)
            binding.collect(self._graph.present[index], presents[-1])
        return presents


def _grown(memory: list[Array], index: int, shape: tuple[int, ...]) -> Array:
    """An array over memory that is kept between runs and made larger where a run needs more."""
    size = prod(shape)
    if memory[index].size < size:
        memory[index] = np.empty(size, memory[index].dtype)
    return memory[index][:size].reshape(shape)
