"""Facts about an ONNX graph, read without its external data and without running it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from inference.backends.decoder.cache_layout import cache_copies
from inference.backends.external_data import DataOutside, data_extents
from inference.backends.onnx_header import (
    CACHE_INPUTS,
    ELEMENT_TYPES,
    LOGITS,
    OnnxHeader,
    TensorInfo,
    read_header,
)
from inference.importer.findings import ImporterError, install_hint

if TYPE_CHECKING:
    import onnx

INT8_OPERATORS = ("DynamicQuantizeLinear", "MatMulInteger", "QLinearMatMul")

Dims: TypeAlias = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """An input or output: the number of its element type in ONNX, and its dimensions, free ones by name."""

    kind: int
    dims: Dims


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """Inputs, outputs and operators of a graph, and the paths of its external data below its folder."""

    inputs: Mapping[str, GraphTensor]
    outputs: Mapping[str, GraphTensor]
    operators: Mapping[str, int]
    external: frozenset[str]
    weights: str
    """Type of most weights: 4-bit, 8-bit, float16 or float32."""

    @property
    def generates(self) -> bool:
        """True for a decoder: it has a KV cache and logits. A cache without logits is an encoder's."""
        return LOGITS in self.outputs and any(name.startswith(CACHE_INPUTS) for name in self.inputs)

    @property
    def shares_cache(self) -> bool:
        """True where past and present share a buffer; a concatenated cache exists several times at once."""
        return cache_copies(self.operators) == 1

    @property
    def tensors(self) -> Sequence[TensorInfo]:
        """The inputs as a runtime lists them."""
        return [
            TensorInfo(name, ELEMENT_TYPES.get(tensor.kind, f"type {tensor.kind}"), tensor.dims)
            for name, tensor in self.inputs.items()
        ]

    @property
    def cache_kind(self) -> str:
        """Kind of a decoder's KV cache, in words."""
        if self.shares_cache:
            return "grouped-query attention over a shared KV cache"
        return "a concatenated KV cache" if self.generates else "no KV cache"


def require_onnx() -> None:
    """Raise `ImporterError` where the package onnx, which reads and writes graphs, is missing."""
    try:
        import onnx  # noqa: F401
    except ModuleNotFoundError:
        raise ImporterError(
            f"ONNX files are read with the package onnx, which is not installed. {install_hint('onnx')}"
        ) from None


def read_graph(path: Path) -> GraphFacts:
    """Read the facts of an ONNX file.

    Raises `ImporterError` for a file that is not ONNX, or that names external data outside its folder.
    """
    require_onnx()
    import onnx

    header = header_of(path)
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        raise _unreadable(path, error) from error
    graph = model.graph
    operators = Counter(node.op_type for node in nodes_of(graph, model.functions))
    return GraphFacts(
        inputs=_tensors(graph.input, {tensor.name for tensor in graph.initializer}),
        outputs=_tensors(graph.output, set()),
        operators=operators,
        external=frozenset(external_data(path, header)),
        weights=_weights(graph, operators),
    )


def header_of(path: Path) -> OnnxHeader:
    """Return the header of a graph. Raises `ImporterError` for a file that is not ONNX."""
    try:
        return read_header(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def external_data(path: Path, header: OnnxHeader) -> dict[str, int]:
    """Return the paths of a graph's external data below its folder, each with its least bytes.

    Raises `ImporterError` for data outside of the folder.
    """
    try:
        return data_extents(path.name, header.extents)
    except DataOutside as error:
        raise ImporterError(f"{error}. Save the graph again with its data next to it.") from None


def _unreadable(path: Path, error: Exception) -> ImporterError:
    return ImporterError(
        f"{path.name} is not a readable ONNX file: {_first_line(error)}. Download or export it again."
    )


def _tensors(values: Any, without: set[str]) -> dict[str, GraphTensor]:
    return {value.name: _tensor(value) for value in values if value.name not in without}


def _tensor(value: Any) -> GraphTensor:
    kind = value.type.tensor_type
    dims = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in kind.shape.dim)
    return GraphTensor(int(kind.elem_type), dims)


def nodes_of(
    graph: onnx.GraphProto, functions: Sequence[onnx.FunctionProto] = ()
) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph, of its subgraphs to any depth and of functions, each once."""
    pending: list[onnx.GraphProto | onnx.FunctionProto] = [*functions, graph]
    while pending:
        for node in pending.pop().node:
            yield node
            for attribute in node.attribute:
                pending += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _weights(graph: Any, operators: Mapping[str, int]) -> str:
    if bits := {_bits(node) for node in graph.node if node.op_type == "MatMulNBits"}:
        return f"{min(bits)}-bit"
    if any(name in operators for name in INT8_OPERATORS):
        return "8-bit"
    from onnx import TensorProto

    sizes: Counter[int] = Counter()
    for tensor in graph.initializer:
        sizes[tensor.data_type] += math.prod(tensor.dims)
    return "float16" if sizes[TensorProto.FLOAT16] > sizes[TensorProto.FLOAT] else "float32"


def _bits(node: Any) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "bits"), 4)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
