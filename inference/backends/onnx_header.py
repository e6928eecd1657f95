"""The header of an ONNX file, read from its protobuf without its weights or a runtime.

Inputs, outputs and operators, and the places of external data, wherever in the graph they are named.

Opening a session to learn the shape of a KV cache would take the memory that is to be estimated. The file is
mapped and its weights are skipped: some 10 ms for a graph of a thousand nodes, whatever its size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from inference.backends.protobuf import Message, first_number, first_text, inner_messages

CACHE_INPUTS = ("past_key_values", "past_key", "past.")
"""Beginnings of the names of inputs that are a KV cache."""
LOGITS = "logits"

ELEMENT_TYPES = {
    1: "tensor(float)",
    2: "tensor(uint8)",
    3: "tensor(int8)",
    6: "tensor(int32)",
    7: "tensor(int64)",
    9: "tensor(bool)",
    10: "tensor(float16)",
    11: "tensor(double)",
    16: "tensor(bfloat16)",
}
"""TensorProto.DataType to onnxruntime's name of it."""

# Field numbers of onnx.proto. Names of messages are those of that file.
MODEL_GRAPH = 7
GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 5, 11, 12
VALUE_NAME, VALUE_TYPE = 1, 2
TYPE_TENSOR = 1
ELEMENT, SHAPE = 1, 2
SHAPE_DIMENSION = 1
DIMENSION_VALUE, DIMENSION_PARAMETER = 1, 2
TENSOR_NAME, TENSOR_DATA, TENSOR_LOCATION = 8, 13, 14
ENTRY_KEY, ENTRY_VALUE = 1, 2
EXTERNAL = 1
"""TensorProto.DataLocation of a tensor whose numbers are in another file."""

PARTS: Mapping[str, Mapping[int, str]] = {
    "model": {MODEL_GRAPH: "graph", 25: "function"},
    "graph": {1: "node", GRAPH_INITIALIZER: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {4: "operator", 5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Kinds of parts of a model by the kind that holds them and the number of their field: all places of
operators and of tensors, which are initializers, constants, and those of subgraphs and functions."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output of a graph, with the attributes of onnxruntime's `NodeArg`."""

    name: str
    type: str
    """As onnxruntime writes it, such as `tensor(float)`."""
    shape: tuple[int | str, ...]
    """The sizes; a free one by its name, which may be empty."""


@dataclass(frozen=True, slots=True)
class OnnxHeader:
    """The inputs and outputs of a graph, its operators and those of its subgraphs, and its external data."""

    inputs: tuple[TensorInfo, ...]
    """Without those that are initializers, which need no value."""
    outputs: tuple[TensorInfo, ...]
    operators: frozenset[str]
    extents: Mapping[str, int]
    """Places of external data, as the graph writes them: relative to its folder, and not to be trusted.
    Each with the bytes that the file there has at least."""

    @property
    def locations(self) -> frozenset[str]:
        """The places of external data."""
        return frozenset(self.extents)

    @property
    def generates(self) -> bool:
        """True for a decoder: it has a KV cache and logits. A cache without logits is an encoder's."""
        cached = any(tensor.name.startswith(CACHE_INPUTS) for tensor in self.inputs)
        return cached and any(tensor.name == LOGITS for tensor in self.outputs)


def read_header(path: Path) -> OnnxHeader:
    """Return the header of an ONNX file. Raises `OSError`, and `ValueError` for a file of another kind."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        try:
            return _header(Message(data, 0, len(data)), path)
        except IndexError:
            raise ValueError(f"{path.name} ends within a message") from None


def _header(model: Message, path: Path) -> OnnxHeader:
    graphs = inner_messages(model, MODEL_GRAPH)
    if not graphs:
        raise ValueError(f"{path.name} has no graph")
    parts = list(_parts(model))
    weights = {first_text(tensor, TENSOR_NAME) for tensor in inner_messages(graphs[0], GRAPH_INITIALIZER)}
    inputs = (_tensor(value) for graph in graphs for value in inner_messages(graph, GRAPH_INPUT))
    outputs = (_tensor(value) for graph in graphs for value in inner_messages(graph, GRAPH_OUTPUT))
    return OnnxHeader(
        inputs=tuple(tensor for tensor in inputs if tensor.name not in weights),
        outputs=tuple(outputs),
        operators=frozenset(part.text for kind, part in parts if kind == "operator"),
        extents=_extents(part for kind, part in parts if kind == "tensor"),
    )


def _parts(model: Message) -> Iterator[tuple[str, Message]]:
    """Yield each part of a model once, with its kind. Subgraphs may be nested to any depth."""
    pending = [("model", model)]
    while pending:
        kind, part = pending.pop()
        yield kind, part
        if kinds := PARTS.get(kind):
            found = ((kinds.get(number), value) for number, value in part)
            pending += [(inner, value) for inner, value in found if inner and isinstance(value, Message)]


def _extents(tensors: Iterable[Message]) -> dict[str, int]:
    """Return the end of the last tensor in each place of external data."""
    extents: dict[str, int] = {}
    for tensor in tensors:
        data = inner_messages(tensor, TENSOR_DATA)
        if data and first_number(tensor, TENSOR_LOCATION) == EXTERNAL:
            entries = {first_text(entry, ENTRY_KEY): first_text(entry, ENTRY_VALUE) for entry in data}
            if (place := entries.get("location")) is not None:
                extents[place] = max(extents.get(place, 0), _end(entries))
    return extents


def _end(entries: Mapping[str, str]) -> int:
    """Return offset and length of a tensor's external data together; what is not stated counts as 0."""
    stated = (entries.get(key, "") for key in ("offset", "length"))
    return sum(int(number) for number in stated if number.isdecimal())


def _tensor(value: Message) -> TensorInfo:
    """Return an input or output by its `ValueInfoProto`; one that is no tensor has no sizes."""
    element, shape = 0, []
    for kind in inner_messages(value, VALUE_TYPE):
        for tensor in inner_messages(kind, TYPE_TENSOR):
            element = first_number(tensor, ELEMENT)
            sizes = (inner_messages(one, SHAPE_DIMENSION) for one in inner_messages(tensor, SHAPE))
            shape = [_size(size) for each in sizes for size in each]
    name = first_text(value, VALUE_NAME)
    return TensorInfo(name, ELEMENT_TYPES.get(element, f"type {element}"), tuple(shape))


def _size(dimension: Message) -> int | str:
    for number, value in dimension:
        if number == DIMENSION_VALUE and isinstance(value, int):
            return value
        if number == DIMENSION_PARAMETER and isinstance(value, Message):
            return value.text
    return ""
