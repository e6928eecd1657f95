"""Finds out by running it what a decoder's graph does, since its inputs and outputs do not say.

A graph updates its cache in place or gives it back longer; it may compute a row otherwise when others share
its run, or a prompt otherwise when it comes in pieces. Ten runs of a few tokens tell, whenever a model is
opened.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import onnxruntime as ort
from pydantic import TypeAdapter
from pydantic_core import from_json

from inference.backends.decoder.binding import Binding
from inference.backends.decoder.cache_layout import CONCATENATED_COPIES
from inference.backends.decoder.concatenated import ConcatenatedDecoder
from inference.backends.decoder.graph import DecoderGraph
from inference.backends.decoder.in_place import InPlaceDecoder, bound_rows
from inference.backends.decoder.row_decoder import GraphTraits, RowDecoder
from inference.backends.prepared_graphs import WORTH, identity, size_of
from inference.backends.session import first_line
from inference.cards.card import CardError
from inference.engine.interfaces import Logits
from inference.engine.kv_cache import KVCache
from inference.settings import Settings
from inference.settings.machine import processors

TOKENS, FIRST, OTHER = 8, 5, 3
"""A trial prompt, its first piece when it is cut, and how much of it another row has."""
ROWS = 4
"""How many rows share the trial's decode step."""
GRID = 64
"""Prefill runs of graphs whose rounding depends on the cut."""
ROUNDING = {np.dtype(np.float32): 1e-3, np.dtype(np.float16): 2e-2}
"""The most that a shift of the cache may change logits, in their standard deviations: measured at most 1e-6
in float32 where it is rounding, and 0.3 and more where a position is another."""
ROUGH = 0.05
"""The same for a cut prompt. Above it something else than rounding differs: the graph does not take several
tokens after a past, or one scale of a quantised run spans all its tokens."""


@dataclass(frozen=True, slots=True)
class GraphForm:
    """How a graph is run: the decoder for it, the width of its logits, and copies of the cache it needs."""

    decoder: type[InPlaceDecoder] | type[ConcatenatedDecoder]
    width: int
    copies: int


def form_of(session: ort.InferenceSession, graph: DecoderGraph, context: int) -> GraphForm:
    """Runs a token or two. Raises `CardError` for a graph that keeps its cache in neither way."""
    try:
        return GraphForm(InPlaceDecoder, _width_in_place(session, graph, context), 1)
    except Exception as error:  # noqa: BLE001  whatever it is, the graph cannot do it
        in_place = first_line(error)
    try:
        return GraphForm(ConcatenatedDecoder, _width_concatenated(session, graph), CONCATENATED_COPIES)
    except Exception as error:
        raise CardError(
            "files.model: the graph runs neither over a KV cache in place, as GroupQueryAttention does "
            f"({in_place}), nor over one that it gives back longer ({first_line(error)})"
        ) from error


def _width_in_place(session: ort.InferenceSession, graph: DecoderGraph, context: int) -> int:
    # As long as it will be, since sliding windows want room; the system backs no more than what is written.
    binding = bound_rows(session, graph, KVCache.allocate(graph.layout, 1, context), slice(0, 1))
    _feed(binding, tokens=1, reach=1)
    return binding.run_for_shapes(["logits"])[0][-1]


def _width_concatenated(session: ort.InferenceSession, graph: DecoderGraph) -> int:
    binding = Binding(session, graph)
    for name, array in zip(graph.past, KVCache.allocate(graph.layout, 1, 0).arrays, strict=True):
        binding.feed(name, array)
    _feed(binding, tokens=OTHER, reach=OTHER)
    logits, *presents = binding.run_for_shapes(["logits", *graph.present])
    for name, found, (heads, size) in zip(graph.present, presents, graph.layout.tensors, strict=True):
        if found != (1, heads, OTHER, size):
            raise ValueError(f"{name} has the shape {list(found)} after {OTHER} tokens")
    return logits[-1]


def _feed(binding: Binding, *, tokens: int, reach: int) -> None:
    binding.feed("input_ids", np.zeros((1, tokens), np.int64))
    binding.feed("attention_mask", (np.arange(reach)[None] < tokens).astype(np.int64))
    binding.offer("position_ids", np.arange(tokens)[None])
    binding.offer("cache_position", np.arange(tokens))
    binding.branch(False)
    binding.select(np.array([tokens - 1]), 1)


def probe_traits(decoder: RowDecoder, cache: KVCache, dtype: np.dtype[np.generic]) -> None:
    """Sets the decoder's habits to what its graph needs. Raises what onnxruntime raises for one short run."""
    decoder.quiet = True
    TraitsProbe(decoder, cache, ROUNDING[np.dtype(dtype)]).run()
    decoder.quiet = False
    for row in range(min(ROWS, cache.rows)):
        cache.clear(row, min(cache.length, TOKENS + 1))


class TraitsProbe:
    """Every habit is tried against one prompt that ran at once, in row 0."""

    def __init__(self, decoder: RowDecoder, cache: KVCache, rounding: float) -> None:
        self._decoder = decoder
        self._length = cache.length
        self._rows = min(ROWS, cache.rows)
        self._rounding = rounding
        self._tokens = tuple((3 + 5 * place) % decoder.vocabulary for place in range(TOKENS + 1))

    def run(self) -> None:
        decoder = self._decoder
        decoder.habits = GraphTraits(batches=False, ragged=False)
        if self._length <= TOKENS:
            return
        whole = self._whole()
        if isinstance(decoder, ConcatenatedDecoder):
            self._keep_if(self._step_is_near, pads=True)
        else:
            self._keep_unless_same_step(whole_mask=True)
        if decoder.habits.whole_mask:
            whole = self._whole()
        decoder.habits = replace(decoder.habits, prefill_alignment=self._grid(whole))
        self._keep_if(self._row_is_itself, batches=True)
        if not decoder.habits.batches:
            self._keep_if(self._row_is_itself, batches=True, company=True)
        habits = decoder.habits
        if (
            isinstance(decoder, InPlaceDecoder)
            and habits.batches
            and habits.prefill_alignment == 1
            and not habits.whole_mask
        ):
            expected = self._whole() if habits.company else whole
            self._keep_if(lambda: self._prompt_is_itself(expected), ragged=True)

    def _whole(self) -> Logits:
        return self._decoder.prefill(0, self._tokens[:TOKENS], 0).copy()

    def _grid(self, whole: Logits) -> int:
        """1 where a cut changes no bit, the context where a prompt has to come at once."""
        try:
            self._decoder.prefill(0, self._tokens[:FIRST], 0)
            cut = self._decoder.prefill(0, self._tokens[FIRST:TOKENS], FIRST)
        except Exception:  # noqa: BLE001  whatever it is, the graph cannot do it
            return self._length
        if _same(cut, whole):
            return 1
        return GRID if _distance(cut, whole) < ROUGH else self._length

    def _keep_if(self, holds: Callable[[], bool], **habit: bool) -> None:
        before = self._decoder.habits
        self._decoder.habits = replace(before, **habit)
        try:
            kept = holds()
        except Exception:  # noqa: BLE001  whatever it is, the graph cannot do it
            kept = False
        if not kept:
            self._decoder.habits = before

    def _keep_unless_same_step(self, **habit: bool) -> None:
        exact = self._step_alone()
        self._keep_if(lambda: not _same(self._step_alone(), exact), **habit)

    def _step_is_near(self) -> bool:
        exact = self._step_alone()
        return _distance(self._step(1), exact) < self._rounding

    def _row_is_itself(self) -> bool:
        alone = self._step(1)
        together = [_same(self._step(rows), alone) for rows in range(2, self._rows + 1)]
        return bool(together) and all(together)

    def _prompt_is_itself(self, whole: Logits) -> bool:
        prompts = [self._tokens[:TOKENS], self._tokens[:OTHER]]
        return _same(self._decoder.prefill_together(0, prompts)[0], whole)

    def _step_alone(self) -> Logits:
        return np.copy(self._decoder.prefill(0, self._tokens[TOKENS:], TOKENS))

    def _step(self, rows: int) -> Logits:
        """Row 0's logits when it runs with so many rows; the others have another token, after zeros."""
        tokens = np.array([self._tokens[TOKENS], *self._tokens[: rows - 1]])
        lengths = np.array([TOKENS + 1] + [OTHER + 1] * (rows - 1))
        return np.copy(self._decoder.decode(tokens, lengths)[0])


def _same(found: Logits, expected: Logits) -> bool:
    return np.array_equal(found, expected, equal_nan=True)


def _distance(found: Logits, expected: Logits) -> float:
    """The largest difference, in standard deviations."""
    return float(np.abs(found - expected).max() / max(float(expected.std()), 1e-9))


def reach_of(decoder: RowDecoder, cache: KVCache) -> int:
    """How many tokens of the cache's length the graph takes: its tables of positions may end before."""
    if _reaches(decoder, cache.length):
        return cache.length
    low, high = 0, cache.length
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _reaches(decoder, middle) else (low, middle)
    return low


def _reaches(decoder: RowDecoder, length: int) -> bool:
    decoder.quiet = True
    try:
        decoder.prefill(0, (0,), length - 1)
    except Exception:  # noqa: BLE001  the graph's tables end before
        return False
    finally:
        decoder.quiet = False
    return True


log = logging.getLogger(__name__)

KEPT: TypeAdapter[GraphTraits] = TypeAdapter(GraphTraits)


class TraitsCache:
    """The habits of one graph over one cache."""

    def __init__(self, graph: Path, cache: KVCache, settings: Settings) -> None:
        threads = settings.threads or processors()
        name = f"{identity(graph, settings)}-{threads}-{min(cache.rows, ROWS)}-{cache.length}.json"
        self._file = settings.cache_folder / "habits" / name
        self._worth = size_of(graph) >= WORTH

    def find(self) -> GraphTraits | None:
        """What an earlier start found out."""
        if not self._worth:
            return None
        try:
            found = self._file.read_bytes()
            whole = from_json(found).keys() == {field.name for field in fields(GraphTraits)}
            return KEPT.validate_json(found, strict=True) if whole else None
        except (OSError, ValueError, AttributeError):
            return None

    def keep(self, habits: GraphTraits) -> None:
        """For the next start; a disk that does not take it costs that start the trial."""
        if not self._worth:
            return
        made = self._file.with_name(f".{self._file.name}-{uuid4().hex}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            made.write_text(json.dumps(asdict(habits)))
            made.replace(self._file)
        except OSError as error:
            log.info("What the trial found out is not kept: %s", error)
            with suppress(OSError):
                made.unlink()
