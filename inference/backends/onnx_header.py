"""The inputs and operators of an ONNX file, read from its protobuf without its weights or a runtime.

Opening a session to learn the shape of a KV cache would take the memory that is to be estimated. The file is
mapped and its weights are skipped: some 10 ms for a graph of a thousand nodes, whatever its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TypeAlias

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

WEIGHT_SUFFIXES = (".data", "_data", ".bin", ".weights")
"""Ends of the names of files that hold a graph's weights beside it."""

# Field numbers of onnx.proto. Names of messages are those of that file.
MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INPUT = 1, 11
NODE_OPERATOR, NODE_ATTRIBUTE = 4, 5
ATTRIBUTE_GRAPHS = (6, 11)
VALUE_NAME, VALUE_TYPE = 1, 2
TYPE_TENSOR = 1
TENSOR_ELEMENT, TENSOR_SHAPE = 1, 2
SHAPE_DIMENSION = 1
DIMENSION_VALUE, DIMENSION_PARAMETER = 1, 2

VARINT, FIXED_64, LENGTH, FIXED_32 = 0, 1, 2, 5
"""Wire types of protobuf."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input of a graph, with the attributes of onnxruntime's `NodeArg`."""

    name: str
    type: str
    """As onnxruntime writes it, such as `tensor(float)`."""
    shape: tuple[int | str, ...]
    """The sizes; a free one by its name, which may be empty."""


@dataclass(frozen=True, slots=True)
class OnnxHeader:
    """The inputs of a graph, and the types of its operators and those of its subgraphs."""

    inputs: tuple[TensorInfo, ...]
    operators: frozenset[str]


def read_header(path: Path) -> OnnxHeader:
    """Return the header of an ONNX file. Raises `OSError`, and `ValueError` for a file of another kind."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        try:
            graphs = _inner(_Message(data, 0, len(data)), MODEL_GRAPH)
            if not graphs:
                raise ValueError(f"{path.name} has no graph")
            inputs = tuple(_tensor(value) for graph in graphs for value in _inner(graph, GRAPH_INPUT))
            return OnnxHeader(inputs, frozenset(_operators(graphs)))
        except IndexError:
            raise ValueError(f"{path.name} ends within a message") from None


Value: TypeAlias = "int | _Message"
"""The value of a field: a number, or the span of a text or an inner message."""


class _Message:
    """A span of the file, whose fields are yielded by number."""

    __slots__ = ("_data", "_end", "_start")

    def __init__(self, data: mmap, start: int, end: int) -> None:
        self._data = data
        self._start = start
        self._end = end

    @property
    def text(self) -> str:
        return self._data[self._start : self._end].decode()

    def __iter__(self) -> Iterator[tuple[int, Value]]:
        position, end = self._start, self._end
        while position < end:
            tag, position = self._varint(position)
            wire_type = tag & 7
            if wire_type == LENGTH:
                length, start = self._varint(position)
                position = start + length
                yield tag >> 3, _Message(self._data, start, position)
            elif wire_type == VARINT:
                number, position = self._varint(position)
                yield tag >> 3, number
            elif wire_type in (FIXED_32, FIXED_64):
                position += 4 if wire_type == FIXED_32 else 8
            else:
                raise ValueError(f"wire type {wire_type} is none of protobuf's")
        if position > end:
            raise IndexError

    def _varint(self, position: int) -> tuple[int, int]:
        """Return the number at a position, and the position after it."""
        data = self._data
        byte = data[position]
        number, shift = byte & 127, 7
        while byte > 127:
            position += 1
            byte = data[position]
            number |= (byte & 127) << shift
            shift += 7
        return number, position + 1


def _inner(message: _Message, *numbers: int) -> list[_Message]:
    """Return the inner messages of some fields."""
    return [value for number, value in message if number in numbers and isinstance(value, _Message)]


def _operators(graphs: list[_Message]) -> Iterator[str]:
    while graphs:
        for node in _inner(graphs.pop(), GRAPH_NODE):
            for number, value in node:
                if isinstance(value, _Message) and number == NODE_OPERATOR:
                    yield value.text
                elif isinstance(value, _Message) and number == NODE_ATTRIBUTE:
                    graphs += _inner(value, *ATTRIBUTE_GRAPHS)


def _tensor(value: _Message) -> TensorInfo:
    """Return an input by its `ValueInfoProto`; one that is no tensor has no sizes."""
    names = _inner(value, VALUE_NAME)
    name = names[0].text if names else ""
    element, shape = 0, []
    for kind in _inner(value, VALUE_TYPE):
        for tensor in _inner(kind, TYPE_TENSOR):
            element = next((n for number, n in tensor if number == TENSOR_ELEMENT and isinstance(n, int)), 0)
            shape = [_size(size) for s in _inner(tensor, TENSOR_SHAPE) for size in _inner(s, SHAPE_DIMENSION)]
    return TensorInfo(name, ELEMENT_TYPES.get(element, f"type {element}"), tuple(shape))


def _size(dimension: _Message) -> int | str:
    for number, value in dimension:
        if number == DIMENSION_VALUE and isinstance(value, int):
            return value
        if number == DIMENSION_PARAMETER and isinstance(value, _Message):
            return value.text
    return ""
