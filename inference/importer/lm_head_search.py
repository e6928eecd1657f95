"""The search for a decoder's lm_head: from the logits back, through the operators that exporters write there.

    hidden states ─ lm_head ─ bias ─ scale ─ cap ─ change of type ─ logits

Any of the parts behind the lm_head may be missing. The lm_head is a product of hidden states with a constant
matrix, of [batch, sequence, hidden], or of [batch * sequence, hidden] and reshaped afterwards. Each node is
looked at once and nothing recurses, so that graphs of any depth and with any number of branches are searched
in their length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from inference.backends.onnx_header import LOGITS
from inference.importer.graph_facts import nodes_of

if TYPE_CHECKING:
    import onnx

STANDARD = ("", "ai.onnx")
"""Names of the domain of ONNX's operators."""
MICROSOFT = "com.microsoft"
"""Domain of onnxruntime's own operators."""
ELEMENTWISE = {"Add": 2, "Cast": 1, "Div": 2, "Identity": 1, "Mul": 2, "Sub": 2, "Tanh": 1}
"""Operators allowed between lm_head and logits, with their inputs: bias, soft cap, scale, change of type."""
RESHAPE = "Reshape"
SAME_SHAPE = ("Identity", "Cast", "DequantizeLinear")
"""Operators whose output has the shape of their first input."""
INT8_ACTIVATIONS, MAX_EXACT_BLOCK = 4, 32
"""MatMulNBits with accuracy_level 4 and blocks above 32 rounds differently by the number of its rows
(onnxruntime 1.32: 1e-6 of the logits)."""

Shape: TypeAlias = tuple[int, ...]
Producers: TypeAlias = Mapping[str, "onnx.NodeProto"]
"""Nodes by the names of their outputs."""


@dataclass(frozen=True, slots=True)
class LmHead:
    """The lm_head's node, the sizes of its hidden states and of its logits, and the nodes behind it.

    `reshape` is the node that makes logits of [batch, sequence, vocabulary] from those of
    [batch * sequence, vocabulary]; None where the lm_head's are of that shape.
    """

    node: onnx.NodeProto
    hidden_size: int
    width: int
    tail: tuple[onnx.NodeProto, ...]
    reshape: onnx.NodeProto | None = None


def find_lm_head(graph: onnx.GraphProto) -> LmHead | None:
    """Walk back from the logits to the lm_head; return None at the first unknown node.

    None too for a graph whose logits are those of the last position alone.
    """
    output = next((value for value in graph.output if value.name == LOGITS), None)
    sizes = [] if output is None else list(output.type.tensor_type.shape.dim)
    if len(sizes) != 3 or sizes[1].dim_value == 1:
        return None
    return _Search(graph).run()


class _Search:
    """One walk over a graph whose nodes are indexed once."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._producers: Producers = {name: node for node in graph.node for name in node.output if name}
        self._constants = constant_shapes(graph)
        self._uses = Counter(name for node in nodes_of(graph) for name in node.input)
        self._uses.update(value.name for value in graph.output)

    def run(self) -> LmHead | None:
        tail: list[onnx.NodeProto] = []
        reshape: onnx.NodeProto | None = None
        name: str | None = LOGITS
        # A name is used once on this way, so no cycle leads back to it.
        while name is not None and (node := self._producers.get(name)) is not None:
            if self._uses[name] != 1:
                return None
            if sizes := self._sizes(node):
                flat = reshape is not None
                is_whole = node.op_type != "Gemm" or flat
                return LmHead(node, *sizes, tuple(tail), reshape) if is_whole else None
            tail.append(node)
            if node.op_type == RESHAPE and reshape is None:
                reshape = node
            name = self._source(node, is_reshape=reshape is node)
        return None

    def _sizes(self, node: onnx.NodeProto) -> tuple[int, int] | None:
        """Return the sizes of hidden states and logits of an lm_head; None where the node is none."""
        weight = self._constants.get(node.input[1]) if len(node.input) > 1 else None
        match node.op_type:
            case "MatMul" if node.domain in STANDARD:
                return (weight[0], weight[1]) if weight is not None and len(weight) == 2 else None
            case "Gemm" if node.domain in STANDARD:
                return self._gemm_sizes(node, weight)
            case "MatMulNBits" if node.domain == MICROSOFT:
                return self._block_sizes(node)
        return None

    def _gemm_sizes(self, node: onnx.NodeProto, weight: Shape | None) -> tuple[int, int] | None:
        bias = self._constants.get(node.input[2]) if len(node.input) > 2 and node.input[2] else ()
        # A bias of two dimensions may have one row for each position.
        if weight is None or len(weight) != 2 or bias is None or len(bias) > 1 or attribute(node, "transA"):
            return None
        return (weight[1], weight[0]) if attribute(node, "transB") else (weight[0], weight[1])

    def _block_sizes(self, node: onnx.NodeProto) -> tuple[int, int] | None:
        sizes: dict[str, int] = {each.name: each.i for each in node.attribute}
        int8 = sizes.get("accuracy_level", 0) == INT8_ACTIVATIONS
        if int8 and sizes["block_size"] > MAX_EXACT_BLOCK:
            return None
        fixed = all(name in self._constants for name in node.input[1:] if name)
        return (sizes["K"], sizes["N"]) if fixed else None

    def _source(self, node: onnx.NodeProto, *, is_reshape: bool) -> str | None:
        """Return the one input that varies; the others are constants, a scalar or one number a token."""
        if node.domain not in STANDARD:
            return None
        if is_reshape:
            return str(node.input[0])
        if ELEMENTWISE.get(node.op_type) != len(node.input):
            return None
        varying = [str(name) for name in node.input if name not in self._constants]
        fixed = [self._constants[name] for name in node.input if name in self._constants]
        return varying[0] if len(varying) == 1 and all(len(shape) <= 1 for shape in fixed) else None


def constant_shapes(graph: onnx.GraphProto) -> Mapping[str, Shape]:
    """Return the shapes of the values that are the same in every run, by name.

    Nodes come after those that they read, so that one pass is enough. A value of a kind that no lm_head has
    is left out.
    """
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if node.domain not in STANDARD or not node.output:
            continue
        shape = _value_shape(node) if node.op_type == "Constant" else _derived_shape(node, shapes)
        if shape is not None:
            shapes[node.output[0]] = shape
    return shapes


def _derived_shape(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> Shape | None:
    if node.op_type not in (*SAME_SHAPE, "Transpose"):
        return None
    if not node.input or any(name not in shapes for name in node.input if name):
        return None
    shape = shapes[node.input[0]]
    if node.op_type in SAME_SHAPE:
        return shape
    order = attribute(node, "perm")
    return tuple(shape[place] for place in order) if order else shape[::-1]


def _value_shape(node: onnx.NodeProto) -> Shape | None:
    value = attribute(node, "value")
    if value is not None:
        return tuple(value.dims)
    return () if attribute(node, "value_float") is not None else None


def attribute(node: onnx.NodeProto, name: str) -> Any:
    """Return the value of a node's attribute; None where it has none."""
    from onnx import helper

    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), None)
