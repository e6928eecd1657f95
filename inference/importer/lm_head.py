"""An edit of a decoder's graph: the lm_head computes the requested logits only.

Without it all tokens of a prompt run through the lm_head, although the logits of the last one are enough,
which is a quarter of a small model's prefill. The edit adds an input

    logits_indices  int64 [k]   positions in the flattened [batch * sequence] hidden states

and `logits` becomes [1, k, vocabulary]. Its numbers stay the same, bit for bit.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from inference.backends.external_data import DataOutside, data_paths
from inference.backends.onnx_header import LOGITS, read_header
from inference.importer.lm_head_search import LmHead, find_lm_head

if TYPE_CHECKING:
    import onnx

INDICES = "logits_indices"
SELECTING = (INDICES, "num_logits_to_keep")
"""Inputs of graphs that select positions already."""
INT64 = 7
"""onnx.TensorProto.INT64."""


class OnnxMissing(RuntimeError):
    """The `onnx` package, which reads and writes graphs, is not installed."""


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
    try:
        data = data_paths(source.name, read_header(source).locations)
    except DataOutside:
        return False
    model = onnx.load(source, load_external_data=False)
    if not add_indices(model):
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
    head = None if any(value.name in SELECTING for value in graph.input) else find_lm_head(graph)
    if head is None:
        return False
    index = next(index for index, node in enumerate(graph.node) if node.output == head.node.output)
    for node in reversed(_gathering(graph, head)):
        graph.node.insert(index, node)
    graph.input.append(helper.make_tensor_value_info(INDICES, INT64, ["logits_count"]))
    _reshape_values(graph, {name for node in (head.node, *head.tail) for name in node.output})
    return True


def _gathering(graph: onnx.GraphProto, head: LmHead) -> list[onnx.NodeProto]:
    """Connect the lm_head with the hidden states of the requested positions, and return the nodes for it.

    Flattened states stay so, and their logits become those of one row.
    """
    from onnx import helper

    states, flat, gathered = head.node.input[0], f"{INDICES}/flat", f"{INDICES}/gathered"
    last = head.hidden_size if head.reshape is None else head.width
    shape = helper.make_tensor(f"{INDICES}/shape", INT64, [3], [1, -1, last])
    graph.initializer.append(shape)
    head.node.input[0] = gathered
    if head.reshape is not None:
        head.reshape.input[1] = shape.name
        return [helper.make_node("Gather", [states, INDICES], [gathered], name=gathered, axis=0)]
    return [
        helper.make_node("Reshape", [states, shape.name], [flat], name=flat),
        helper.make_node("Gather", [flat, INDICES], [gathered], name=gathered, axis=1),
    ]


def _reshape_values(graph: onnx.GraphProto, names: set[str]) -> None:
    """Set the shape of logits to [1, logits_count, vocabulary], and drop those of the values before it."""
    kept = [value for value in graph.value_info if value.name not in names]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    output = next(value for value in graph.output if value.name == LOGITS)
    batch, count, _ = output.type.tensor_type.shape.dim
    batch.Clear()
    batch.dim_value = 1
    count.Clear()
    count.dim_param = "logits_count"


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
