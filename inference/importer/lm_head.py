"""An edit of a decoder's graph: the lm_head computes the requested logits only.

Without it all tokens of a prompt run through the lm_head, although the logits of the last one are enough,
which is a quarter of a small model's prefill. The edit adds an input

    logits_indices  int64 [k]   positions in the flattened [batch * sequence] hidden states

and `logits` becomes [1, k, vocabulary]. Its numbers stay the same, bit for bit.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import onnx

INDICES, LOGITS = "logits_indices", "logits"
SELECTING = (INDICES, "num_logits_to_keep")
"""Inputs of graphs that select positions already."""
MICROSOFT = "com.microsoft"
"""Domain of onnxruntime's own operators."""
ELEMENTWISE = {"Add": 2, "Cast": 1, "Div": 2, "Mul": 2, "Tanh": 1}
"""Operators allowed between lm_head and logits, with their inputs: bias, soft cap, scale, change of type."""
SAME_SHAPE = ("Identity", "Cast", "DequantizeLinear")
"""Operators whose output has the shape of their first input."""
INT8_ACTIVATIONS, MAX_EXACT_BLOCK = 4, 32
"""MatMulNBits with accuracy_level 4 and blocks above 32 rounds differently by the number of its rows
(onnxruntime 1.32: 1e-6 of the logits)."""
INT64 = 7
"""onnx.TensorProto.INT64."""


Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Shapes of the initializers by name."""


class OnnxMissing(RuntimeError):
    """The `onnx` package, which reads and writes graphs, is not installed."""


@dataclass(frozen=True, slots=True)
class LmHead:
    """The lm_head's node, the size of its hidden states, and the nodes between it and the logits."""

    node: onnx.NodeProto
    hidden_size: int
    tail: tuple[onnx.NodeProto, ...]


def gather_before_lm_head(source: Path, target: Path) -> bool:
    """Write the edited `source` to `target`; return False, with nothing written, where it cannot be edited.

    Files of external data are linked next to the target, or copied where the file system has no links. Raises
    `OnnxMissing` and `OSError`.
    """
    try:
        import onnx
    except ImportError as error:
        raise OnnxMissing(
            "Graphs are edited with the package onnx, which is not installed: pip install onnx"
        ) from error
    model = onnx.load(source, load_external_data=False)
    data = sorted(_external_files(model.graph))
    if not all(_is_inside(name) for name in data) or not add_indices(model):
        return False
    _link(data, source.parent, target.parent)
    written = target.with_name(target.name + ".part")
    written.write_bytes(model.SerializeToString())
    written.replace(target)
    return True


def add_indices(model: onnx.ModelProto) -> bool:
    """Edit a model in place; return False, with nothing changed, where its end is not a known lm_head."""
    from onnx import helper

    graph = model.graph
    head = None if any(value.name in SELECTING for value in graph.input) else _find_lm_head(graph)
    if head is None:
        return False
    states, flat, gathered = head.node.input[0], f"{INDICES}/flat", f"{INDICES}/gathered"
    shape = helper.make_tensor(f"{INDICES}/shape", INT64, [3], [1, -1, head.hidden_size])
    nodes = (
        helper.make_node("Reshape", [states, shape.name], [flat], name=flat),
        helper.make_node("Gather", [flat, INDICES], [gathered], name=gathered, axis=1),
    )
    index = next(index for index, node in enumerate(graph.node) if node.output == head.node.output)
    head.node.input[0] = gathered
    graph.initializer.append(shape)
    for node in reversed(nodes):
        graph.node.insert(index, node)
    graph.input.append(helper.make_tensor_value_info(INDICES, INT64, ["logits_count"]))
    _reshape_values(graph, {name for node in (head.node, *head.tail) for name in node.output})
    return True


def _reshape_values(graph: onnx.GraphProto, names: set[str]) -> None:
    """Set the shape of logits to [1, logits_count, vocabulary], and drop those of the values before it."""
    kept = [value for value in graph.value_info if value.name not in names]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    batch, count, _ = _output(graph).type.tensor_type.shape.dim
    batch.Clear()
    batch.dim_value = 1
    count.Clear()
    count.dim_param = "logits_count"


def _find_lm_head(graph: onnx.GraphProto) -> LmHead | None:
    """Walk back from the logits to the lm_head; return None at the first unknown node."""
    output = _output(graph)
    if output is None or len(output.type.tensor_type.shape.dim) != 3:
        return None
    producers = {name: node for node in graph.node for name in node.output if name}
    constants = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    tail: list[onnx.NodeProto] = []
    name = LOGITS
    while (node := producers.get(name)) is not None:
        if name != LOGITS and _uses(graph, name) != 1:
            return None
        hidden_size = _hidden_size(node, producers, constants)
        if hidden_size is not None:
            return LmHead(node, hidden_size, tuple(tail))
        source = _elementwise_source(node, producers, constants)
        if source is None:
            return None
        tail.append(node)
        name = source
    return None


def _hidden_size(
    node: onnx.NodeProto, producers: Mapping[str, onnx.NodeProto], constants: Shapes
) -> int | None:
    """Return the size of an lm_head's hidden states; None where the node is not an lm_head."""
    if node.op_type == "MatMul" and not node.domain:
        weight = _constant_shape(node.input[1], producers, constants)
        return weight[0] if weight is not None and len(weight) == 2 else None
    if node.op_type == "MatMulNBits" and node.domain == MICROSOFT:
        sizes: dict[str, int] = {attribute.name: attribute.i for attribute in node.attribute}
        int8 = sizes.get("accuracy_level", 0) == INT8_ACTIVATIONS
        if int8 and sizes["block_size"] > MAX_EXACT_BLOCK:
            return None
        fixed = all(name in constants for name in node.input[1:] if name)
        return sizes["K"] if fixed else None
    return None


def _elementwise_source(
    node: onnx.NodeProto, producers: Mapping[str, onnx.NodeProto], constants: Shapes
) -> str | None:
    """Return the one input that varies, where the others are constants: a scalar, or one number a token."""
    if node.domain or ELEMENTWISE.get(node.op_type) != len(node.input):
        return None
    shapes = {name: _constant_shape(name, producers, constants) for name in node.input}
    varying = [name for name, shape in shapes.items() if shape is None]
    fixed = [shape for shape in shapes.values() if shape is not None]
    return varying[0] if len(varying) == 1 and all(len(shape) <= 1 for shape in fixed) else None


def _constant_shape(
    name: str, producers: Mapping[str, onnx.NodeProto], constants: Shapes
) -> tuple[int, ...] | None:
    """Return the shape of a value that is the same in every run; None for a value that varies."""
    if name in constants:
        return constants[name]
    node = producers.get(name)
    if node is None or node.domain:
        return None
    if node.op_type == "Constant":
        return _value_shape(node)
    shapes = [_constant_shape(part, producers, constants) for part in node.input if part]
    if not shapes or any(shape is None for shape in shapes):
        return None
    if node.op_type in SAME_SHAPE:
        return shapes[0]
    if node.op_type == "Transpose" and len(shapes[0] or ()) == 2:
        return (shapes[0] or ())[::-1] if _attribute(node, "perm") in (None, [1, 0]) else shapes[0]
    return None


def _value_shape(node: onnx.NodeProto) -> tuple[int, ...] | None:
    value = _attribute(node, "value")
    if value is not None:
        return tuple(value.dims)
    return () if _attribute(node, "value_float") is not None else None


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    from onnx import helper

    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), None)


def _output(graph: onnx.GraphProto) -> Any:
    return next((value for value in graph.output if value.name == LOGITS), None)


def _uses(graph: onnx.GraphProto, name: str) -> int:
    inputs = [part for node in _nodes(graph) for part in node.input]
    return [*inputs, *(value.name for value in graph.output)].count(name)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph and of its branches, which may read values from outside of them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _external_files(graph: onnx.GraphProto) -> set[str]:
    """Return the names of the files of external data."""
    entries = (entry for tensor in graph.initializer for entry in tensor.external_data)
    found = {entry.value for entry in entries if entry.key == "location"}
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found |= _external_files(attribute.g)
    return found


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _link(names: list[str], source: Path, target: Path) -> None:
    for name in names:
        if (target / name).exists() and (target / name).samefile(source / name):
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).unlink(missing_ok=True)
        try:
            os.link(source / name, target / name)
        except OSError:
            shutil.copyfile(source / name, target / name)
