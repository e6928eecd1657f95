"""The nodes of a graph while it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from inference.importer.graph.external_data import ExternalData
from inference.importer.graph.weights import Floats

MICROSOFT = "com.microsoft"
"""Domain of onnxruntime's own operators."""


@dataclass(slots=True)
class GraphNodes:
    """Nodes in the sequence they run; each method adds one and returns the name of its first output."""

    data: ExternalData
    epsilon: float
    """Of the RMS norms."""
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    block_sums: dict[str, str] = field(default_factory=dict)
    """The sums of 32 values each, by the name of the vectors that were summed."""

    def constant(self, name: str, values: NDArray[Any]) -> str:
        return self.data.add(name, values)

    def integers(self, name: str, *values: int) -> str:
        """Add a vector of int64."""
        return self.data.add(name, np.array(values, np.int64))

    def scalar(self, name: str, value: float) -> str:
        return self.data.add(name, np.array(value, np.float32))

    def op(self, kind: str, name: str, inputs: Sequence[str], **attributes: Any) -> str:
        return self.outputs(kind, name, inputs, [f"{name}/output_0"], **attributes)[0]

    def microsoft(self, kind: str, name: str, inputs: Sequence[str], **attributes: Any) -> str:
        return self.op(kind, name, inputs, domain=MICROSOFT, **attributes)

    def outputs(
        self, kind: str, name: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> Sequence[str]:
        """Add a node with outputs of given names."""
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=name, **attributes))
        return outputs

    def norm(self, name: str, source: str, gain: Floats) -> str:
        """Add an RMS norm over the last axis."""
        inputs = [source, self.constant(f"{name}.weight", gain)]
        return self.op(
            "SimplifiedLayerNormalization", name, inputs, axis=-1, epsilon=self.epsilon, stash_type=1
        )

    def skip_norm(self, name: str, stream: str, branch: str, gain: Floats) -> tuple[str, str]:
        """Add the RMS norm of a sum; return the normed sum and the sum."""
        inputs = [stream, branch, self.constant(f"{name}.weight", gain)]
        outputs = [f"{name}/output_0", "", "", f"{name}/output_3"]
        kind = "SkipSimplifiedLayerNormalization"
        self.outputs(kind, name, inputs, outputs, domain=MICROSOFT, epsilon=self.epsilon)
        return outputs[0], outputs[3]
