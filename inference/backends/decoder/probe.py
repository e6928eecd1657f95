"""Probes: short runs that show what a decoder's inputs and outputs do not.

A graph updates its cache in place or returns it longer; it may compute a row otherwise when others share its
run, or a prompt otherwise when it comes in chunks. Ten runs of a few tokens show it, whenever a model is
opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnxruntime as ort

from inference.backends.decoder.cache_layout import CONCATENATED_COPIES
from inference.backends.decoder.concatenated import ConcatenatedDecoder
from inference.backends.decoder.graph import DecoderGraph
from inference.backends.decoder.in_place import InPlaceDecoder, bound_rows
from inference.backends.decoder.row_decoder import Binding, GraphTraits, RowDecoder
from inference.backends.session import first_line
from inference.cards.card import CardError
from inference.engine.interfaces import Logits
from inference.engine.kv_cache import KVCache

PROMPT, CUT, OTHER = 8, 5, 3
"""Tokens of the probe's prompt, of its first chunk when it is cut, and of the prompt in other rows."""
CHECKED = 2
"""Tokens of the run that shows whether a graph updates its cache in place."""
ROWS = 4
"""The most rows that share the probe's decode step."""
ALIGNMENT = 64
"""The alignment of prefill runs of graphs whose rounding depends on the cut."""
ROUNDING = {np.dtype(np.float32): 1e-3, np.dtype(np.float16): 2e-2}
"""The most that a shift of the cache may change logits, in their standard deviations: measured at most 1e-6
in float32 where it is rounding, and 0.3 and more where a position is wrong."""
CUT_ROUNDING = 0.05
"""The same for a cut prompt. Above it the difference is no rounding: the graph does not take several tokens
after a past, or one scale of a quantized run spans all its tokens."""


@dataclass(frozen=True, slots=True)
class GraphForm:
    """A graph's decoder, the width of its logits, and the copies of the cache that it needs."""

    decoder: type[InPlaceDecoder] | type[ConcatenatedDecoder]
    width: int
    copies: int
    graph: DecoderGraph
    """The graph with what a run shows of it: some declare logits of all positions and give the last one's."""


def form_of(session: ort.InferenceSession, graph: DecoderGraph, context: int) -> GraphForm:
    """Return the form of a graph, by running a token or two.

    Raises `CardError` for a graph that updates its cache neither in place nor by returning it longer.
    """
    try:
        sizes = _logits_in_place(session, graph, context)
        return GraphForm(InPlaceDecoder, sizes[-1], 1, _shown(graph, sizes, min(CHECKED, context)))
    except Exception as error:  # noqa: BLE001  any failure shows that the graph cannot do it
        in_place = first_line(error)
    try:
        sizes = _logits_concatenated(session, graph)
        return GraphForm(ConcatenatedDecoder, sizes[-1], CONCATENATED_COPIES, _shown(graph, sizes, OTHER))
    except Exception as error:
        raise CardError(
            "files.model: the graph runs neither over a KV cache in place, as GroupQueryAttention does "
            f"({in_place}), nor over one that it returns longer ({first_line(error)})"
        ) from error


def _shown(graph: DecoderGraph, sizes: Sequence[int], count: int) -> DecoderGraph:
    """Return the graph after a run of `count` tokens had logits of these sizes."""
    selects = bool(graph.optional & {"logits_indices", "num_logits_to_keep"})
    return graph if selects or count == 1 else replace(graph, last_only=sizes[1] == 1)


def _logits_in_place(session: ort.InferenceSession, graph: DecoderGraph, context: int) -> Sequence[int]:
    # At its full length, which sliding windows need; the system backs no more than the run writes.
    binding = bound_rows(session, graph, KVCache.allocate(graph.layout, 1, context), slice(0, 1))
    count = min(CHECKED, context)
    _bind_tokens(binding, count=count, mask_width=count)
    return binding.run_for_shapes(["logits"])[0]


def _logits_concatenated(session: ort.InferenceSession, graph: DecoderGraph) -> Sequence[int]:
    binding = Binding(session, graph)
    for name, array in zip(graph.past, KVCache.allocate(graph.layout, 1, 0).arrays, strict=True):
        binding.bind_input(name, array)
    _bind_tokens(binding, count=OTHER, mask_width=OTHER)
    logits, *presents = binding.run_for_shapes(["logits", *graph.present])
    for name, shape, (heads, size) in zip(graph.present, presents, graph.layout.tensors, strict=True):
        if shape != (1, heads, OTHER, size):
            raise ValueError(f"{name} has the shape {list(shape)} after {OTHER} tokens")
    return logits


def _bind_tokens(binding: Binding, *, count: int, mask_width: int) -> None:
    binding.bind_input("input_ids", np.zeros((1, count), np.int64))
    binding.bind_input("attention_mask", (np.arange(mask_width)[None] < count).astype(np.int64))
    binding.bind_optional("position_ids", np.arange(count)[None])
    binding.bind_optional("cache_position", np.arange(count))
    binding.select_branch(past=False)
    binding.select_logits(np.array([count - 1]), 1)


def probe_traits(decoder: RowDecoder, cache: KVCache, dtype: np.dtype[np.generic]) -> None:
    """Set the decoder's traits to those of its graph. Raises the runtime's error for one short run."""
    decoder.quiet = True
    TraitsProbe(decoder, cache, ROUNDING[np.dtype(dtype)]).run()
    decoder.quiet = False
    for row in range(min(ROWS, cache.rows)):
        cache.clear(row, min(cache.length, PROMPT + 1))


class TraitsProbe:
    """Runs of a decoder that are compared with one prompt that ran whole, in row 0."""

    def __init__(self, decoder: RowDecoder, cache: KVCache, rounding: float) -> None:
        self._decoder = decoder
        self._length = cache.length
        self._rows = min(ROWS, cache.rows)
        self._rounding = rounding
        self._tokens = tuple((3 + 5 * index) % decoder.vocabulary for index in range(PROMPT + 1))

    def run(self) -> None:
        """Set the decoder's traits, from those that assume least on."""
        decoder = self._decoder
        decoder.traits = GraphTraits(batches=False, ragged=False)
        if self._length <= PROMPT:
            return
        whole = self._whole()
        if isinstance(decoder, ConcatenatedDecoder):
            self._keep_if(self._padded_step_is_near, pads=True)
        else:
            self._keep_if_step_differs(whole_mask=True)
        if decoder.traits.whole_mask:
            whole = self._whole()
        decoder.traits = replace(decoder.traits, prefill_alignment=self._alignment(whole))
        self._keep_if(self._rows_are_independent, batches=True)
        if not decoder.traits.batches:
            self._keep_if(self._rows_are_independent, batches=True, needs_companion=True)
        if self._may_share_prompts():
            expected = self._whole() if decoder.traits.needs_companion else whole
            self._keep_if(lambda: self._prompts_are_independent(expected), ragged=True)

    def _may_share_prompts(self) -> bool:
        traits = self._decoder.traits
        in_place = isinstance(self._decoder, InPlaceDecoder)
        return in_place and traits.batches and traits.prefill_alignment == 1 and not traits.whole_mask

    def _whole(self) -> Logits:
        return self._decoder.prefill(0, self._tokens[:PROMPT], 0).copy()

    def _alignment(self, whole: Logits) -> int:
        """Return 1 where a cut changes no bit, the context where a prompt has to run whole."""
        try:
            self._decoder.prefill(0, self._tokens[:CUT], 0)
            cut = self._decoder.prefill(0, self._tokens[CUT:PROMPT], CUT)
        except Exception:  # noqa: BLE001  any failure shows that the graph cannot do it
            return self._length
        if _same(cut, whole):
            return 1
        return ALIGNMENT if _distance(cut, whole) < CUT_ROUNDING else self._length

    def _keep_if(self, condition: Callable[[], bool], **traits: bool) -> None:
        """Keep traits if a condition is met with them."""
        before = self._decoder.traits
        self._decoder.traits = replace(before, **traits)
        try:
            kept = condition()
        except Exception:  # noqa: BLE001  any failure shows that the graph cannot do it
            kept = False
        if not kept:
            self._decoder.traits = before

    def _keep_if_step_differs(self, **traits: bool) -> None:
        exact = self._step_alone()
        self._keep_if(lambda: not _same(self._step_alone(), exact), **traits)

    def _padded_step_is_near(self) -> bool:
        exact = self._step_alone()
        return _distance(self._step(1), exact) < self._rounding

    def _rows_are_independent(self) -> bool:
        alone = self._step(1)
        together = [_same(self._step(rows), alone) for rows in range(2, self._rows + 1)]
        return bool(together) and all(together)

    def _prompts_are_independent(self, whole: Logits) -> bool:
        prompts = [self._tokens[:PROMPT], self._tokens[:OTHER]]
        return _same(self._decoder.prefill_together(0, prompts)[0], whole)

    def _step_alone(self) -> Logits:
        return np.copy(self._decoder.prefill(0, self._tokens[PROMPT:], PROMPT))

    def _step(self, rows: int) -> Logits:
        """Return row 0's logits of a step of so many rows; the others have another token, after zeros."""
        tokens = np.array([self._tokens[PROMPT], *self._tokens[: rows - 1]])
        lengths = np.array([PROMPT + 1] + [OTHER + 1] * (rows - 1))
        return np.copy(self._decoder.decode(tokens, lengths)[0])


def _same(found: Logits, expected: Logits) -> bool:
    return np.array_equal(found, expected, equal_nan=True)


def _distance(found: Logits, expected: Logits) -> float:
    """Return the largest difference, in standard deviations."""
    return float(np.abs(found - expected).max() / max(float(expected.std()), 1e-9))


def usable_length(decoder: RowDecoder, cache: KVCache) -> int:
    """Return how many positions of the cache the graph can run: its position tables may end before."""
    if _runs_at(decoder, cache.length):
        return cache.length
    low, high = 0, cache.length
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _runs_at(decoder, middle) else (low, middle)
    return low


def _runs_at(decoder: RowDecoder, length: int) -> bool:
    decoder.quiet = True
    try:
        decoder.prefill(0, (0,), length - 1)
    except Exception:  # noqa: BLE001  the graph's tables end before
        return False
    finally:
        decoder.quiet = False
    return True
