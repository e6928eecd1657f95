"""Edits a decoder's graph so that its lm_head computes the logits that are asked for, and no others.

A prompt's tokens all run through the lm_head where only the last one's logits are wanted, which is a quarter
of a small model's prefill. The edit adds an input

    logits_indices  int64 [k]   positions of the flattened [batch * sequence] hidden states

and `logits` becomes [1, k, vocabulary]. No number changes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

INDICES, LOGITS = "logits_indices", "logits"
SELECTING = (INDICES, "num_logits_to_keep")
"""Inputs of graphs that can be asked already."""
FUSED = "com.microsoft"
ELEMENTWISE = {"Add": 2, "Cast": 1, "Div": 2, "Mul": 2, "Tanh": 1}
"""What may stand between lm_head and logits: a bias, a soft cap, a scale, a change of type."""
SAME_SHAPE = ("Identity", "Cast", "DequantizeLinear")
INT8_ACTIVATIONS, EXACT_BLOCK = 4, 32
"""MatMulNBits with accuracy_level 4 and blocks above 32 rounds by how many rows it is given (onnxruntime
1.32: 1e-6 of the logits)."""
INT64 = 7
"""TensorProto.INT64."""


class OnnxMissing(RuntimeError):
    """The `onnx` package, which reads and writes graphs, is not installed."""


@dataclass(frozen=True, slots=True)
class LmHead:
    """The node that is the lm_head, the width of what it reads, and the nodes behind it."""

    node: onnx.NodeProto
    hidden: int
    tail: tuple[onnx.NodeProto, ...]


def gather_before_lm_head(source: Path, target: Path) -> bool:
    """Writes `source` to `target` with the input; False, and nothing written, where it does not fit.

    External data stays external: the files are linked, or copied where links cannot be. Raises `OnnxMissing`
    and `OSError`.
    """
    try:
        import onnx
    except ImportError as error:
        raise OnnxMissing("editing a graph needs the package onnx: pip install onnx") from error
    model = onnx.load(source, load_external_data=False)
    data = sorted(_external(model.graph))
    if not all(_is_inside(name) for name in data) or not add_indices(model):
        return False
    _link(data, source.parent, target.parent)
    written = target.with_name(target.name + ".part")
    written.write_bytes(model.SerializeToString())
    written.replace(target)
    return True


def add_indices(model: onnx.ModelProto) -> bool:
    """The edit itself, in place; False, and nothing changed, where the graph's end is not a plain lm_head."""
    from onnx import helper

    graph = model.graph
    head = None if any(value.name in SELECTING for value in graph.input) else _head(graph)
    if head is None:
        return False
    reads, flat, gathered = head.node.input[0], f"{INDICES}/flat", f"{INDICES}/gathered"
    shape = helper.make_tensor(f"{INDICES}/shape", INT64, [3], [1, -1, head.hidden])
    nodes = (
        helper.make_node("Reshape", [reads, shape.name], [flat], name=flat),
        helper.make_node("Gather", [flat, INDICES], [gathered], name=gathered, axis=1),
    )
    place = next(number for number, node in enumerate(graph.node) if node.output == head.node.output)
    head.node.input[0] = gathered
    graph.initializer.append(shape)
    for node in reversed(nodes):
        graph.node.insert(place, node)
    graph.input.append(helper.make_tensor_value_info(INDICES, INT64, ["logits_count"]))
    _reshape_values(graph, {name for node in (head.node, *head.tail) for name in node.output})
    return True


def _reshape_values(graph: onnx.GraphProto, names: set[str]) -> None:
    """What is known of the shapes behind the edit: logits are [1, logits_count, vocabulary] now."""
    kept = [value for value in graph.value_info if value.name not in names]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    batch, count, _ = _output(graph).type.tensor_type.shape.dim
    batch.Clear()
    batch.dim_value = 1
    count.Clear()
    count.dim_param = "logits_count"


def _head(graph: onnx.GraphProto) -> LmHead | None:
    """Walks back from logits; None at anything that is not certain."""
    output = _output(graph)
    if output is None or len(output.type.tensor_type.shape.dim) != 3:
        return None
    makers = {name: node for node in graph.node for name in node.output if name}
    constants = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    tail: list[onnx.NodeProto] = []
    name = LOGITS
    while (node := makers.get(name)) is not None:
        if name != LOGITS and _uses(graph, name) != 1:
            return None
        hidden = _hidden(node, makers, constants)
        if hidden is not None:
            return LmHead(node, hidden, tuple(tail))
        source = _elementwise_source(node, makers, constants)
        if source is None:
            return None
        tail.append(node)
        name = source
    return None


def _hidden(
    node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto], constants: Mapping[str, tuple[int, ...]]
) -> int | None:
    """How wide a lm_head's input is; None where the node is none."""
    if node.op_type == "MatMul" and not node.domain:
        weight = _constant_shape(node.input[1], makers, constants)
        return weight[0] if weight is not None and len(weight) == 2 else None
    if node.op_type == "MatMulNBits" and node.domain == FUSED:
        sizes: dict[str, int] = {attribute.name: attribute.i for attribute in node.attribute}
        int8 = sizes.get("accuracy_level", 0) == INT8_ACTIVATIONS
        if int8 and sizes["block_size"] > EXACT_BLOCK:
            return None
        fixed = all(name in constants for name in node.input[1:] if name)
        return sizes["K"] if fixed else None
    return None


def _elementwise_source(
    node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto], constants: Mapping[str, tuple[int, ...]]
) -> str | None:
    """The input that is not a constant of one number, or one a token of the vocabulary."""
    if node.domain or ELEMENTWISE.get(node.op_type) != len(node.input):
        return None
    shapes = {name: _constant_shape(name, makers, constants) for name in node.input}
    varying = [name for name, shape in shapes.items() if shape is None]
    fixed = [shape for shape in shapes.values() if shape is not None]
    return varying[0] if len(varying) == 1 and all(len(shape) <= 1 for shape in fixed) else None


def _constant_shape(
    name: str, makers: Mapping[str, onnx.NodeProto], constants: Mapping[str, tuple[int, ...]]
) -> tuple[int, ...] | None:
    """The shape of what is the same in every run; None for everything else."""
    if name in constants:
        return constants[name]
    node = makers.get(name)
    if node is None or node.domain:
        return None
    if node.op_type == "Constant":
        return _value_shape(node)
    shapes = [_constant_shape(part, makers, constants) for part in node.input if part]
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
    read = [part for node in _nodes(graph) for part in node.input]
    return [*read, *(value.name for value in graph.output)].count(name)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Those of the branches too, which may read what stands outside of them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _external(graph: onnx.GraphProto) -> set[str]:
    """The files beside the graph that hold its weights."""
    entries = (entry for tensor in graph.initializer for entry in tensor.external_data)
    found = {entry.value for entry in entries if entry.key == "location"}
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found |= _external(attribute.g)
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
