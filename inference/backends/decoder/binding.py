"""The inputs and outputs of a decoder's run: arrays bound to the names of its graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.backends.decoder.graph import BRANCH, DecoderGraph
from inference.engine.interfaces import IntArray

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
