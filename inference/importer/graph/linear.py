"""Linear layers and the embedding, in the form of their matrix: float32, or blocks of 4 or 8 bits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from inference.importer.graph.nodes import GraphNodes
from inference.importer.graph.weights import BLOCK, BlockMatrix, FloatMatrix, Floats, Matrix

INT8_ACTIVATIONS = 4
"""accuracy_level of MatMulNBits: its inputs are rounded to int8 in blocks, as its weights are."""


def write_linear(
    graph: GraphNodes,
    name: str,
    source: str,
    matrix: Matrix,
    bias: Floats | None = None,
    *,
    factor: float = 1.0,
) -> str:
    """Multiply `source` [..., in] by a matrix [out, in] transposed, add the bias, multiply by a factor."""
    matrix, bias = _times(matrix, factor), bias if bias is None else bias * np.float32(factor)
    if isinstance(matrix, BlockMatrix):
        return _write_blocks(graph, name, source, matrix, *_store_blocks(graph, name, matrix), bias)
    stored = graph.constant(f"{name}.weight", matrix.values)
    return _added(graph, name, _write_floats(graph, name, source, stored), bias)


def _times(matrix: Matrix, factor: float) -> Matrix:
    """Return a matrix times a factor, which then costs nothing when the graph runs."""
    if factor == 1:
        return matrix
    number = np.float32(factor)
    if isinstance(matrix, FloatMatrix):
        return FloatMatrix(matrix.values * number)
    offsets = None if matrix.offsets is None else matrix.offsets * number
    return replace(matrix, scales=matrix.scales * number, offsets=offsets)


def _store_blocks(graph: GraphNodes, name: str, matrix: BlockMatrix) -> tuple[str, str, str]:
    """Store levels, scales and offsets; the last name is empty where there are none."""
    levels = graph.constant(f"{name}.weight_Q{matrix.bits}", matrix.levels)
    scales = graph.constant(f"{name}.weight_scales", matrix.scales)
    if matrix.offsets is None:
        return levels, scales, ""
    return levels, scales, graph.constant(f"{name}.weight_offsets", matrix.offsets)


def _write_floats(graph: GraphNodes, name: str, source: str, stored: str) -> str:
    # The matrix stays as the checkpoint has it, so that an embedding of the same bytes can share it.
    return graph.microsoft("FusedMatMul", f"{name}/MatMul", [source, stored], transB=1)


def _write_blocks(
    graph: GraphNodes,
    name: str,
    source: str,
    matrix: BlockMatrix,
    levels: str,
    scales: str,
    offsets: str,
    bias: Floats | None = None,
) -> str:
    inputs = [source, levels, scales]
    if bias is not None:
        inputs += ["", "", graph.constant(f"{name}.bias", bias)]
    attributes: dict[str, Any] = {"N": matrix.shape[0], "K": matrix.shape[1], "bits": matrix.bits}
    attributes |= {"block_size": BLOCK, "accuracy_level": INT8_ACTIVATIONS}
    product = graph.microsoft("MatMulNBits", f"{name}/MatMulNBits", inputs, **attributes)
    if not offsets:
        return product
    summed = write_block_sums(graph, source)
    offset = _write_floats(graph, f"{name}/offsets", summed, offsets)
    return graph.op("Add", f"{name}/offsets/Add", [product, offset])


def write_block_sums(graph: GraphNodes, source: str) -> str:
    """Sum each block of vectors, once for all matrices that multiply them."""
    if source not in graph.block_sums:
        name = f"{source.rpartition('/')[0]}/block_sums"
        shape = graph.integers("block_sums/shape", 0, 0, -1, BLOCK)
        blocks = graph.op("Reshape", f"{name}/Reshape", [source, shape])
        axes = graph.integers("block_sums/axes", -1)
        graph.block_sums[source] = graph.op("ReduceSum", f"{name}/ReduceSum", [blocks, axes], keepdims=0)
    return graph.block_sums[source]


def _added(graph: GraphNodes, name: str, product: str, bias: Floats | None) -> str:
    if bias is None:
        return product
    return graph.op("Add", f"{name}/Add", [product, graph.constant(f"{name}.bias", bias)])


class EmbeddingTable:
    """A stored embedding: it embeds tokens, and where it is tied the very same bytes are the lm_head."""

    __slots__ = ("_graph", "_matrix", "_stored")

    NAME = "model.embed_tokens"

    def __init__(self, graph: GraphNodes, matrix: Matrix) -> None:
        self._graph, self._matrix = graph, matrix
        if isinstance(matrix, BlockMatrix):
            self._stored = _store_blocks(graph, self.NAME, matrix)
        else:
            self._stored = (graph.constant(f"{self.NAME}.weight", matrix.values), "", "")

    def embed(self, tokens: str) -> str:
        """Look up the vectors of tokens."""
        name, graph = "/model/embed_tokens", self._graph
        if not isinstance(self._matrix, BlockMatrix):
            return graph.op("Gather", f"{name}/Gather", [self._stored[0], tokens])
        levels, scales, offsets = self._stored
        rows, blocks, width = self._matrix.levels.shape
        # A view, not a Reshape: onnxruntime would compute that once and keep a second table in memory.
        flat = graph.data.view(f"{self.NAME}.rows", levels, (rows, blocks * width))
        attributes = {"bits": self._matrix.bits, "block_size": BLOCK, "gather_axis": 0, "quantize_axis": 1}
        inputs = [flat, tokens, scales]
        embedded = graph.microsoft(
            "GatherBlockQuantized", f"{name}/GatherBlockQuantized", inputs, **attributes
        )
        return self._with_offsets(name, embedded, tokens, offsets) if offsets else embedded

    def _with_offsets(self, name: str, embedded: str, tokens: str, offsets: str) -> str:
        graph = self._graph
        gathered = graph.op("Gather", f"{name}/offsets/Gather", [offsets, tokens])
        axes = graph.integers("block_sums/axes", -1)
        column = graph.op("Unsqueeze", f"{name}/offsets/Unsqueeze", [gathered, axes])
        shape = graph.integers("block_sums/shape", 0, 0, -1, BLOCK)
        blocks = graph.op("Reshape", f"{name}/offsets/Reshape", [embedded, shape])
        added = graph.op("Add", f"{name}/offsets/Add", [blocks, column])
        flat = graph.integers(f"{name}/shape", 0, 0, self._matrix.shape[1])
        return graph.op("Reshape", f"{name}/offsets/flat/Reshape", [added, flat])

    def head(self, states: str) -> str:
        """Multiply states by the table transposed."""
        if not isinstance(self._matrix, BlockMatrix):
            return _write_floats(self._graph, "/lm_head", states, self._stored[0])
        return _write_blocks(self._graph, "/lm_head", states, self._matrix, *self._stored)
