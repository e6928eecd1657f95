"""Graphs whose weights are in other files, named wherever a graph can name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 64
VALUES = np.arange(SIZE, dtype=np.float32)


def external_tensor(name: str, location: str, values: np.ndarray = VALUES) -> onnx.TensorProto:
    tensor = numpy_helper.from_array(values, name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("length", str(values.nbytes))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def value(name: str, size: int = SIZE) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [size])


def model_of(graph: onnx.GraphProto, functions: list[onnx.FunctionProto] | None = None) -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=functions or [])


def adding(*nodes: onnx.NodeProto, weights: list[onnx.TensorProto] | None = None) -> onnx.GraphProto:
    add = helper.make_node("Add", ["x", "w"], ["y"])
    return helper.make_graph([*nodes, add], "main", [value("x")], [value("y")], weights or [])


def in_initializer(place: str) -> onnx.ModelProto:
    return model_of(adding(weights=[external_tensor("w", place)]))


def in_constant(place: str) -> onnx.ModelProto:
    return model_of(adding(helper.make_node("Constant", [], ["w"], value=external_tensor("", place))))


def in_sparse(place: str) -> onnx.ModelProto:
    model = in_initializer(place)
    del model.graph.initializer[:]
    indices = numpy_helper.from_array(np.arange(SIZE, dtype=np.int64), "i")
    sparse = helper.make_sparse_tensor(external_tensor("w", place), indices, [SIZE])
    model.graph.sparse_initializer.append(sparse)
    return model


def in_branch(place: str, depth: int = 3) -> onnx.ModelProto:
    """Name it in a branch of a branch of a branch."""
    constant = helper.make_node("Constant", [], ["w0"], value=external_tensor("", place))
    branch = helper.make_graph([constant], "b0", [], [value("w0")])
    for level in range(1, depth):
        name = f"w{level}"
        node = helper.make_node("If", ["c"], [name], then_branch=branch, else_branch=branch)
        branch = helper.make_graph([node], f"b{level}", [], [value(name)])
    condition = numpy_helper.from_array(np.array(True), "c")
    node = helper.make_node("If", ["c"], ["w"], then_branch=branch, else_branch=branch)
    return model_of(adding(node, weights=[condition]))


def in_function(place: str) -> onnx.ModelProto:
    constant = helper.make_node("Constant", [], ["k"], value=external_tensor("", place))
    body = [constant, helper.make_node("Identity", ["k"], ["out"])]
    function = helper.make_function("own", "Weights", [], ["out"], body, [helper.make_opsetid("", 21)])
    return model_of(adding(helper.make_node("Weights", [], ["w"], domain="own")), [function])


PLACES: Mapping[str, Callable[[str], onnx.ModelProto]] = {
    "initializer": in_initializer,
    "constant": in_constant,
    "sparse": in_sparse,
    "branch": in_branch,
    "function": in_function,
}


def save(model: onnx.ModelProto, path: Path, place: str = "") -> Path:
    """Write a graph without checks, and its data where that is below its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    if place:
        (path.parent / place).parent.mkdir(parents=True, exist_ok=True)
        (path.parent / place).write_bytes(VALUES.tobytes())
    return path
