"""What a decoder's run reads and writes: arrays bound to the inputs and outputs of its graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.backends.decoder.graph import BRANCH, DecoderGraph
from inference.engine.interfaces import IntArray

CPU = "CPUExecutionProvider"
QUIET = 4
"""The severity of a run that may fail without a line in the log."""

Array = NDArray[Any]


class Binding:
    """Arrays stay bound, and alive, until others of their names are.

    A provider with memory of its own takes its copy of an input when that is bound (`IOBinding::BindInput`)
    and not when it runs, so there every run binds the inputs again, or it would go on reading the first
    step's cache. Outputs are copied back at the end of each run.
    """

    def __init__(self, session: ort.InferenceSession, graph: DecoderGraph) -> None:
        self._session = session
        self._optional = graph.optional
        self._keep_shape = graph.keep_shape
        self._binding = session.io_binding()
        self._inputs: dict[str, ort.OrtValue] = {}
        self._outputs: dict[str, ort.OrtValue] = {}
        self._copies = session.get_providers() != [CPU]

    def feed(self, name: str, array: Array) -> None:
        """Binds an input to an array's own memory."""
        self.share(name, ort.OrtValue.ortvalue_from_numpy(array))

    def share(self, name: str, value: ort.OrtValue) -> None:
        """As `feed`, with a value that is bound elsewhere too."""
        self._inputs[name] = value
        self._binding.bind_ortvalue_input(name, value)

    def offer(self, name: str, array: Array) -> None:
        """`feed` where the graph has that optional input."""
        if name in self._optional:
            self.feed(name, array)

    def collect(self, name: str, array: Array) -> None:
        """Binds an output to an array's own memory."""
        self.collect_into(name, ort.OrtValue.ortvalue_from_numpy(array))

    def collect_into(self, name: str, value: ort.OrtValue) -> None:
        self._outputs[name] = value
        self._binding.bind_ortvalue_output(name, value)

    def select(self, indices: IntArray, keep: int) -> None:
        """Asks for the logits of some positions: by `logits_indices`, or of the last `keep`, 0 for all."""
        self.offer("logits_indices", indices)
        if "num_logits_to_keep" in self._optional:
            self.feed("num_logits_to_keep", np.full(self._keep_shape, keep, np.int64))

    def branch(self, past: bool) -> None:
        """Tells a merged graph whether there is a past."""
        if BRANCH in self._optional:
            self.feed(BRANCH, np.array([past]))

    def run(self, *, quiet: bool = False) -> None:
        if self._copies:
            for name, value in self._inputs.items():
                self._binding.bind_ortvalue_input(name, value)
        options = ort.RunOptions() if quiet else None
        if options is not None:
            options.log_severity_level = QUIET
        self._session.run_with_iobinding(self._binding, options)

    def run_for_shapes(self, names: Sequence[str]) -> list[tuple[int, ...]]:
        """Runs quietly, leaving the memory of more outputs to onnxruntime; gives these outputs' shapes."""
        for name in names:
            self._binding.bind_output(name)
        self.run(quiet=True)
        return [tuple(value.shape()) for value in self._binding.get_outputs()[-len(names) :]]


def logits_shape(graph: DecoderGraph, rows: int, positions: int, *, asked: int, keep: int) -> tuple[int, int]:
    """The first two sizes of a run's logits: of `asked` indices, or of the last `keep` positions, 0 for all.

    The run is one of [rows, positions] tokens; what the graph cannot be asked, it does not heed.
    """
    if "logits_indices" in graph.optional:
        return 1, asked
    if "num_logits_to_keep" in graph.optional:
        return rows, keep or positions
    return rows, 1 if graph.last_only else positions
