"""Collects the nodes and initialisers of an encoder's ONNX graph in the order of computation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

FUSED = "com.microsoft"
FUSED_OPERATORS = {"Attention", "BiasGelu", "EmbedLayerNormalization", "SkipLayerNormalization"}
# The lowest versions that hold every operator used, so that older runtimes open the files too.
OPSETS = {"": 17, FUSED: 1}
IR_VERSION = 8
PRODUCER = "starters.graph_writer"
"""As the files under models/ name it: another name would change their bytes and nothing else."""


class GraphWriter:
    """Each method adds something and returns the name it can be read by."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []

    def add(
        self, op: str, inputs: Sequence[str], output: str, more_outputs: Sequence[str] = (), **attributes: Any
    ) -> str:
        domain = FUSED if op in FUSED_OPERATORS else ""
        outputs = [output, *more_outputs]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=output, domain=domain, **attributes))
        return output

    def constant(self, name: str, values: NDArray[Any]) -> str:
        self.initializers.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def half(self, name: str, values: NDArray[np.float32]) -> str:
        """Store float32 values in half the bytes; the runtime widens them once, when it opens the file."""
        stored = self.constant(f"{name}.float16", values.astype(np.float16))
        return self.add("Cast", [stored], name, to=TensorProto.FLOAT)

    def as_int32(self, name: str) -> str:
        """Cast to int32, which the fused operators take where every export takes int64."""
        return self.add("Cast", [name], f"{name}_int32", to=TensorProto.INT32)

    def model(self, name: str, inputs: Sequence[ValueInfoProto], output: ValueInfoProto) -> ModelProto:
        graph = helper.make_graph(self.nodes, name, inputs, [output], self.initializers)
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name=PRODUCER)


def int64_value(name: str, *shape: str | int) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.INT64, shape)


def float_value(name: str, *shape: str | int) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
