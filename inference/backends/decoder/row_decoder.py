"""The base of decoders over a session: runs of one row, and the prefill, scores and steps made of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.backends.decoder.graph import BRANCH, DecoderGraph
from inference.contracts import TokenIds
from inference.engine.interfaces import IntArray, Logits
from inference.engine.kv_cache import KVCache


@dataclass(frozen=True, slots=True)
class GraphTraits:
    """The conditions under which a row's results depend on that row alone: see `probe.TraitsProbe`."""

    batches: bool = True
    """Rows may share a decode step."""
    needs_companion: bool = False
    """A row that runs alone runs with a companion, because one row by itself takes another kernel: float32
    activations times blockwise weights (`MatMulNBits` of accuracy_level 0)."""
    ragged: bool = True
    """Whole prompts of several lengths may share a run."""
    whole_mask: bool = False
    """The mask is always as wide as the cache, because its width changes the numbers: graphs with two tables
    of rotary angles choose one by it. Such a model has the angles of the context's length."""
    pads: bool = False
    """A graph that returns its cache longer accepts masked positions before a row's past."""
    prefill_alignment: int = 1
    """As `Decoder.prefill_alignment`; the context where a prompt has to run whole."""


class RowDecoder(ABC):
    """An `engine.interfaces.Decoder` that runs one row at a time; subclasses share runs where a graph can."""

    def __init__(
        self,
        session: ort.InferenceSession,
        graph: DecoderGraph,
        cache: KVCache,
        *,
        width: int,
        vocabulary: int,
    ) -> None:
        """Run `graph` in `session` over `cache`.

        `width` is that of the logits, `vocabulary` the end of the usable ids: those that a wider lm_head has
        beyond it are cut off, so never drawn.
        """
        self.vocabulary = vocabulary
        self.never: IntArray = np.zeros(0, np.int64)
        """The ids below `vocabulary` that are never drawn."""
        self.scores = graph.scores
        self.traits = GraphTraits()
        self.quiet = False
        """True if runs of one row may fail without a line in the log."""
        self._open: ort.InferenceSession | None = session
        self._graph = graph
        self._cache = cache
        self._width = width
        self._positions = np.arange(cache.length)
        self._memory = np.empty(0, graph.logits)

    @property
    def prefill_alignment(self) -> int:
        """The number of tokens at whose multiples prefill runs start."""
        return self.traits.prefill_alignment

    def prefill(self, row: int, tokens: TokenIds, past: int) -> Logits:
        """Run tokens of one row. See `Decoder.prefill`."""
        logits = self._logits_memory(1, 1)[0]
        for start, chunk in self._chunks(tokens, past):
            last = [len(chunk) - 1] * (2 if self.traits.needs_companion else 1)
            logits = self._run_row(row, chunk, start, np.array(last), keep=1)
        return np.asarray(logits[-1])

    def score(self, row: int, tokens: TokenIds, past: int) -> Logits:
        """Return the logits after every token of one row. See `Decoder.score`.

        A graph with the logits of the last position alone runs one token at a time.
        """
        if not self.scores:
            return np.stack([self.prefill(row, (token,), at).copy() for at, token in enumerate(tokens, past)])
        found = [
            self._run_row(row, chunk, start, np.arange(len(chunk)), keep=0)
            for start, chunk in self._chunks(tokens, past)
        ]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def prefill_together(self, row: int, prompts: Sequence[TokenIds]) -> Logits:
        """Run whole prompts, here one after the other. See `Decoder.prefill_together`."""
        return np.stack([self.prefill(row + n, prompt, 0).copy() for n, prompt in enumerate(prompts)])

    def decode(self, tokens: IntArray, lengths: IntArray) -> Logits:
        """Run one token on each row, here one after the other. See `Decoder.decode`."""
        pairs = enumerate(zip(tokens.tolist(), lengths.tolist(), strict=True))
        return np.stack([self.prefill(row, (token,), end - 1).copy() for row, (token, end) in pairs])

    def close(self) -> None:
        """Release the session, with its threads and weights."""
        self._open = None

    @abstractmethod
    def _run_row(self, row: int, tokens: TokenIds, past: int, selected: IntArray, *, keep: int) -> Logits:
        """Run tokens of one row once, and return the logits of the `selected` positions in the run.

        [positions, vocabulary]. `keep` selects the same for graphs that compute the last so many positions,
        0 for all; a graph that selects nothing returns all its logits.
        """

    @property
    def _session(self) -> ort.InferenceSession:
        assert self._open is not None, "the decoder is closed"
        return self._open

    def _chunks(self, tokens: TokenIds, past: int) -> Iterator[tuple[int, TokenIds]]:
        """Yield the tokens cut at multiples of the alignment, each chunk with its past.

        After a past, a graph that has to run a prompt whole takes one token at a time.
        """
        start, end, alignment = past, past + len(tokens), self.prefill_alignment
        if past and alignment == self._cache.length > 1:
            yield from ((past + index, (token,)) for index, token in enumerate(tokens))
            return
        while start < end:
            stop = end if alignment == 1 else min(end, start - start % alignment + alignment)
            yield start, tokens[start - past : stop - past]
            start = stop

    def _logits_memory(self, rows: int, count: int) -> NDArray[Any]:
        """Return memory for logits, [rows, count, width]; the next call returns the same memory."""
        size = rows * count * self._width
        if self._memory.size < size:
            self._memory = np.empty(size, self._graph.logits)
        return self._memory[:size].reshape(rows, count, self._width)

    def _float32(self, logits: NDArray[Any]) -> Logits:
        found: Logits = logits[..., : self.vocabulary].astype(np.float32, copy=False)
        if self.never.size:
            found[..., self.never] = -np.inf
        return found


CPU = "CPUExecutionProvider"
FATAL = 4
"""The severity that leaves a failed run without a line in the log."""

Array = NDArray[Any]


class Binding:
    """Arrays bound by name, which stay bound, and alive, until others take their names.

    A provider with memory of its own copies an input when it is bound (`IOBinding::BindInput`) and not when
    it runs, so there every run binds the inputs again, or it would go on with the first step's cache. Outputs
    are copied back at the end of each run.
    """

    def __init__(self, session: ort.InferenceSession, graph: DecoderGraph) -> None:
        self._session = session
        self._optional = graph.optional
        self._keep_shape = graph.keep_shape
        self._binding = session.io_binding()
        self._inputs: dict[str, ort.OrtValue] = {}
        self._outputs: dict[str, ort.OrtValue] = {}
        self._copies = session.get_providers() != [CPU]

    def bind_input(self, name: str, array: Array) -> None:
        """Bind an input to an array's own memory."""
        self.bind_input_value(name, ort.OrtValue.ortvalue_from_numpy(array))

    def bind_input_value(self, name: str, value: ort.OrtValue) -> None:
        """Bind an input to a value, which other names may share."""
        self._inputs[name] = value
        self._binding.bind_ortvalue_input(name, value)

    def bind_optional(self, name: str, array: Array) -> None:
        """Bind an input where the graph has it."""
        if name in self._optional:
            self.bind_input(name, array)

    def bind_output(self, name: str, array: Array) -> None:
        """Bind an output to an array's own memory."""
        self.bind_output_value(name, ort.OrtValue.ortvalue_from_numpy(array))

    def bind_output_value(self, name: str, value: ort.OrtValue) -> None:
        """Bind an output to a value, which other names may share."""
        self._outputs[name] = value
        self._binding.bind_ortvalue_output(name, value)

    def select_logits(self, indices: IntArray, keep: int) -> None:
        """Select positions whose logits to compute: by `logits_indices`, or the last `keep`, 0 for all."""
        self.bind_optional("logits_indices", indices)
        if "num_logits_to_keep" in self._optional:
            self.bind_input("num_logits_to_keep", np.full(self._keep_shape, keep, np.int64))

    def select_branch(self, *, past: bool) -> None:
        """Select the branch of a merged graph: with a past or without."""
        if BRANCH in self._optional:
            self.bind_input(BRANCH, np.array([past]))

    def run(self, *, quiet: bool = False) -> None:
        """Run the graph; `quiet` keeps a failure out of onnxruntime's log."""
        if self._copies:
            for name, value in self._inputs.items():
                self._binding.bind_ortvalue_input(name, value)
        options = ort.RunOptions() if quiet else None
        if options is not None:
            options.log_severity_level = FATAL
        self._session.run_with_iobinding(self._binding, options)

    def run_for_shapes(self, names: Sequence[str]) -> list[tuple[int, ...]]:
        """Run quietly, and return the shapes of outputs whose memory onnxruntime allocates."""
        for name in names:
            self._binding.bind_output(name)
        self.run(quiet=True)
        return [tuple(value.shape()) for value in self._binding.get_outputs()[-len(names) :]]


def logits_shape(
    graph: DecoderGraph, rows: int, positions: int, *, selected: int, keep: int
) -> tuple[int, int]:
    """Return the first two sizes of the logits of a run of [rows, positions] tokens.

    `selected` is the number of `logits_indices`, `keep` as for `Binding.select_logits`; a graph without these
    inputs computes the logits it computes.
    """
    if "logits_indices" in graph.optional:
        return 1, selected
    if "num_logits_to_keep" in graph.optional:
        return rows, keep or positions
    return rows, 1 if graph.last_only else positions
