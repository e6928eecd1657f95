"""Positions of a decoder's tokens: lengths of the rows, and the rotary tables of its layers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper

from inference.importer.graph.nodes import GraphNodes
from inference.importer.graph.rope import Rope, RotaryTable, rotary_table

TableNames = tuple[str, str]
"""Names of the cosines and of the sines."""


@dataclass(slots=True)
class Positions:
    """The positions of a run's tokens, by the mask, and the tables that were stored for it."""

    lengths: str
    """int32 [batch]: the last position of each row."""
    total: str
    """int32 scalar: the width of the mask."""
    width: str
    """The same as int64 [1]."""
    tables: dict[tuple[object, ...], TableNames] = field(default_factory=dict)

    def table(self, graph: GraphNodes, rope: Rope) -> TableNames:
        """Return the names of a rope's table, which layers of the same rope share."""
        key = (rope.kind, rope.theta, rope.size, repr(sorted(rope.numbers.items())))
        if key not in self.tables:
            self.tables[key] = self._write(graph, rope, f"_{len(self.tables)}" if self.tables else "")
        return self.tables[key]

    def _write(self, graph: GraphNodes, rope: Rope, suffix: str) -> TableNames:
        table = _store(graph, suffix, rotary_table(rope))
        if rope.changes_at is None:
            return table
        long = _store(graph, f"{suffix}_long", rotary_table(rope, long=True))
        return self._choose(graph, f"/model/rotary{suffix}", rope.changes_at, table, long)

    def _choose(
        self, graph: GraphNodes, name: str, limit: int, short: TableNames, long: TableNames
    ) -> TableNames:
        """Take the table of long contexts where the mask is wider than the limit.

        Its rows are cut to the mask's width: an output of `If` is a copy.
        """
        above = graph.op("Greater", f"{name}/Greater", [self.width, graph.integers(f"{name}/limit", limit)])
        zero = graph.integers(f"{name}/zero", 0)
        results = [f"{name}/cosines", f"{name}/sines"]
        cut = [
            helper.make_node("Slice", [table, zero, self.width], [f"{result}/long"])
            for table, result in zip(long, results, strict=True)
        ]
        kept = [
            helper.make_node("Identity", [table], [f"{result}/short"])
            for table, result in zip(short, results, strict=True)
        ]
        branches = {"then_branch": _branch("long", cut), "else_branch": _branch("short", kept)}
        graph.outputs("If", f"{name}/If", [above], results, **branches)
        return results[0], results[1]


def write_positions(graph: GraphNodes) -> Positions:
    """Read the mask, int64 [batch, total]: row r has as many ones as it has tokens, then zeros."""
    name = "/model/mask"
    axis, one = graph.integers(f"{name}/axis", 1), graph.constant(f"{name}/one", np.array(1, np.int64))
    counted = graph.op("ReduceSum", f"{name}/ReduceSum", ["attention_mask", axis], keepdims=0)
    last = graph.op("Sub", f"{name}/Sub", [counted, one])
    width = graph.op("Shape", f"{name}/Shape", ["attention_mask"], start=1)
    total = graph.op("Squeeze", f"{name}/Squeeze", [width])
    lengths = graph.op("Cast", f"{name}/Cast", [last], to=TensorProto.INT32)
    return Positions(lengths, graph.op("Cast", f"{name}/total/Cast", [total], to=TensorProto.INT32), width)


def _store(graph: GraphNodes, suffix: str, table: RotaryTable) -> TableNames:
    cosines = graph.constant(f"cos_cache{suffix}", table.cosines)
    return cosines, graph.constant(f"sin_cache{suffix}", table.sines)


def _branch(name: str, nodes: list[onnx.NodeProto]) -> onnx.GraphProto:
    outputs = [
        helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, [None, None]) for node in nodes
    ]
    return helper.make_graph(nodes, name, [], outputs)
