"""What an ONNX file says of itself, read without its external data and without running it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from inference.backends.decoder.cache_layout import cache_copies
from inference.backends.onnx_header import ELEMENT_TYPES, TensorInfo
from inference.importer.findings import ImporterError, install_sentence

CACHE_INPUTS = ("past_key_values", "past_key", "past.")

Dims: TypeAlias = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """An input or output: ONNX's number of its element type, and its dimensions, the free ones by name."""

    kind: int
    dims: Dims


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """Inputs, outputs and operators of a graph, and the names of the files its weights lie in."""

    inputs: Mapping[str, GraphTensor]
    outputs: Mapping[str, GraphTensor]
    operators: Mapping[str, int]
    external: frozenset[str]
    weights: str
    """How most weights are kept: 4-bit, 8-bit, float16 or float32."""

    @property
    def generates(self) -> bool:
        """Whether it keeps a cache between runs and gives logits; without them it is one that embeds."""
        return "logits" in self.outputs and any(name.startswith(CACHE_INPUTS) for name in self.inputs)

    @property
    def shares(self) -> bool:
        """Whether its cache is updated in place; one that is concatenated is there several times."""
        return cache_copies(self.operators) == 1

    @property
    def tensors(self) -> Sequence[TensorInfo]:
        """The inputs as a runtime lists them."""
        return [
            TensorInfo(name, ELEMENT_TYPES.get(tensor.kind, f"type {tensor.kind}"), tensor.dims)
            for name, tensor in self.inputs.items()
        ]

    @property
    def flavour(self) -> str:
        """How a decoder's graph keeps its cache, in words."""
        if self.shares:
            return "grouped-query attention over a shared KV cache"
        return "a KV cache that is concatenated" if self.generates else "no KV cache"


def require_onnx() -> None:
    """Raises `ImporterError` where graphs can be neither read nor written."""
    try:
        import onnx  # noqa: F401
    except ModuleNotFoundError:
        raise ImporterError(
            f"ONNX files are read with the package onnx, which is not installed. {install_sentence('onnx')}"
        ) from None


def read_graph(path: Path) -> GraphFacts:
    """Raises `ImporterError` for what is no ONNX file or names weights outside its folder."""
    require_onnx()
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        raise ImporterError(f"{path.name} is no ONNX file that can be read: {_line(error)}") from error
    graph = model.graph
    operators = Counter(node.op_type for node in _nodes(graph))
    return GraphFacts(
        inputs=_tensors(graph.input, {tensor.name for tensor in graph.initializer}),
        outputs=_tensors(graph.output, set()),
        operators=operators,
        external=frozenset(_external(path, graph)),
        weights=_weights(graph, operators),
    )


def _tensors(values: Any, without: set[str]) -> dict[str, GraphTensor]:
    return {value.name: _tensor(value) for value in values if value.name not in without}


def _tensor(value: Any) -> GraphTensor:
    kind = value.type.tensor_type
    dims = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in kind.shape.dim)
    return GraphTensor(int(kind.elem_type), dims)


def _nodes(graph: Any) -> Iterator[Any]:
    """Those of a graph and of the graphs inside it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _nodes(inner)


def _external(path: Path, graph: Any) -> Iterator[str]:
    """The files of weights, each checked to lie in the graph's own folder."""
    from onnx import TensorProto

    for tensor in graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
            parts = PurePosixPath(location.replace("\\", "/"))
            if not location or parts.is_absolute() or len(parts.parts) != 1 or location in (".", ".."):
                raise ImporterError(
                    f"{path.name} wants its weights from {location!r}, outside its own folder."
                )
            yield location


def _weights(graph: Any, operators: Mapping[str, int]) -> str:
    if bits := {_bits(node) for node in graph.node if node.op_type == "MatMulNBits"}:
        return f"{min(bits)}-bit"
    if any(name in operators for name in ("DynamicQuantizeLinear", "MatMulInteger", "QLinearMatMul")):
        return "8-bit"
    from onnx import TensorProto

    sizes: Counter[int] = Counter()
    for tensor in graph.initializer:
        sizes[tensor.data_type] += _elements(tensor.dims)
    return "float16" if sizes[TensorProto.FLOAT16] > sizes[TensorProto.FLOAT] else "float32"


def _bits(node: Any) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "bits"), 4)


def _elements(dims: Sequence[int]) -> int:
    count = 1
    for size in dims:
        count *= size
    return count


def _line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
