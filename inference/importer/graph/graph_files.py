"""The two files of a graph: nodes, and tensors beside them, which appear together when both are complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import helper

from inference.importer.graph.external_data import ExternalData
from inference.importer.graph.nodes import MICROSOFT, GraphNodes

OPSET, IR_VERSION = 21, 10
PRODUCER = "model-inference"
OFFSETS = "/offsets/MatMul"
"""End of the names of the products of block sums and offsets."""
PRODUCTS = ("MatMulNBits", "FusedMatMul")


@dataclass(frozen=True, slots=True)
class GraphReport:
    """Matrices by their bits (32 for float), those with offsets, and the bytes of both files."""

    bits: Mapping[int, int]
    offsets: int
    size: int


@dataclass(frozen=True, slots=True)
class GraphEnds:
    """Name, inputs and outputs of a graph."""

    name: str
    inputs: Sequence[onnx.ValueInfoProto]
    outputs: Sequence[onnx.ValueInfoProto]


def write_files(target: Path, epsilon: float, write: Callable[[GraphNodes], GraphEnds]) -> GraphReport:
    """Write a graph to `target`, and its tensors to a file beside it whose name has .data at the end."""
    data = target.with_name(f"{target.name}.data")
    parts = [path.with_name(f"{path.name}.part") for path in (target, data)]
    try:
        with parts[1].open("wb") as file:
            graph = GraphNodes(ExternalData(file, data.name), epsilon)
            ends = write(graph)
        parts[0].write_bytes(_model(graph, ends).SerializeToString())
        size = sum(path.stat().st_size for path in parts)
        for path, place in zip(reversed(parts), (data, target), strict=True):
            path.replace(place)
    finally:
        for path in parts:
            path.unlink(missing_ok=True)
    return _report(graph, size)


def value(name: str, kind: int, *sizes: str | int) -> onnx.ValueInfoProto:
    """Return an input or output; free sizes have names."""
    return helper.make_tensor_value_info(name, kind, sizes)


def _model(graph: GraphNodes, ends: GraphEnds) -> onnx.ModelProto:
    tensors = list(graph.data.tensors.values())
    body = helper.make_graph(graph.nodes, ends.name, ends.inputs, ends.outputs, tensors)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION, producer_name=PRODUCER)


def _report(graph: GraphNodes, size: int) -> GraphReport:
    nodes = [node for node in graph.nodes if node.op_type in PRODUCTS]
    bits: Counter[int] = Counter(_bits(node) for node in nodes if not node.name.endswith(OFFSETS))
    return GraphReport(dict(bits), len(nodes) - bits.total(), size)


def _bits(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "bits"), 32)
