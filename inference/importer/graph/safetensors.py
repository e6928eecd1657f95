"""Checkpoints in safetensors: one file, or several with an index, mapped and read a tensor at a time.

A file is eight bytes of length, a JSON header of that length, and the bytes of the tensors. Nothing of the
header is believed before it is checked against the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from inference.importer.findings import ImporterError
from inference.importer.graph.weights import Bytes, FloatMatrix, Floats

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
LENGTH_BYTES = 8
MAX_HEADER = 100_000_000
"""Bytes, as the format's own library allows."""
MAX_DIMENSIONS = 8
METADATA = "__metadata__"


def _bfloat16(data: Bytes) -> Floats:
    """Widen bfloat16, which is the upper half of a float32."""
    return (data.view("<u2").astype(np.uint32) << 16).view(np.float32)


FLOATS: Mapping[str, tuple[int, Callable[[Bytes], Floats]]] = {
    "F32": (4, lambda data: data.view("<f4").astype(np.float32, copy=False)),
    "F16": (2, lambda data: data.view("<f2").astype(np.float32)),
    "BF16": (2, _bfloat16),
    "F64": (8, lambda data: data.view("<f8").astype(np.float32)),
}
"""Bytes of a number and the way to float32, by the format's names."""
OTHERS = {"BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "U32": 4, "I32": 4, "U64": 8, "I64": 8} | {
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "F8_E8M0": 1,
    "C64": 8,
}
"""Bytes of numbers that are no weights of a decoder, but may stand beside them."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor's place: its file, type, shape, and first and last byte within the file."""

    file: Path
    kind: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Checkpoint:
    """The float tensors of a folder, as a `WeightSource` in float32."""

    __slots__ = ("_tensors",)

    def __init__(self, folder: Path) -> None:
        """Read the headers. Raises `ImporterError` for files that are not whole safetensors."""
        self._tensors: dict[str, StoredTensor] = {}
        for file, expected in _files(folder).items():
            found = read_header(file)
            if missing := sorted(expected - found.keys()):
                raise ImporterError(f"{INDEX} names the tensor {missing[0]} in {file.name}, which lacks it.")
            twice = sorted(found.keys() & self._tensors.keys())
            if twice:
                raise ImporterError(f"The tensor {twice[0]} is in several files of the checkpoint.")
            self._tensors |= found

    @property
    def names(self) -> Collection[str]:
        return self._tensors.keys()

    def matrix(self, name: str) -> FloatMatrix:
        """Return a tensor with two dimensions. Raises `ImporterError` for any other."""
        return FloatMatrix(self._read(name, 2))

    def vector(self, name: str) -> Floats:
        """Return a tensor with one dimension. Raises `ImporterError` for any other."""
        return self._read(name, 1)

    def _read(self, name: str, dimensions: int) -> Floats:
        stored = self._tensors[name]
        where = f"The tensor {name} of {stored.file.name}"
        if len(stored.shape) != dimensions:
            raise ImporterError(f"{where} has the shape {list(stored.shape)}, not {dimensions} dimensions.")
        if stored.kind not in FLOATS:
            raise ImporterError(f"{where} is {stored.kind}. Weights are read in {', '.join(FLOATS)}.")
        data = np.memmap(stored.file, np.uint8, "r", stored.begin, (stored.end - stored.begin,))
        values = FLOATS[stored.kind][1](data).reshape(stored.shape)
        if not np.isfinite(values).all():
            raise ImporterError(f"{where} has numbers that are not finite. Download or save it again.")
        return values


def _files(folder: Path) -> dict[Path, set[str]]:
    """Return the files of a checkpoint, each with the tensors that the index names in it."""
    if (folder / INDEX).is_file():
        by_file: dict[Path, set[str]] = {}
        for name, file in _weight_map(folder / INDEX).items():
            by_file.setdefault(folder / file, set()).add(name)
        if absent := sorted(path.name for path in by_file if not path.is_file()):
            raise ImporterError(
                f"{INDEX} names {absent[0]}, which is missing. Download the checkpoint again."
            )
        return by_file
    if not (folder / SINGLE).is_file():
        raise ImporterError(f"There is neither {SINGLE} nor {INDEX}.")
    return {folder / SINGLE: set()}


def _weight_map(index: Path) -> Mapping[str, str]:
    try:
        named = json.loads(index.read_bytes())["weight_map"]
    except (ValueError, KeyError, TypeError, RecursionError):
        named = None
    if not isinstance(named, dict) or not named or not all(map(_is_plain_name, named.values())):
        raise ImporterError(f"{INDEX} has no weight_map of tensor names to files beside it.")
    return named


def _is_plain_name(name: object) -> bool:
    return isinstance(name, str) and "\\" not in name and PurePosixPath(name).name == name


def read_header(file: Path) -> dict[str, StoredTensor]:
    """Return the tensors of a file. Raises `ImporterError` for a header that does not fit the file."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(LENGTH_BYTES), "little")
        if size < LENGTH_BYTES or length > min(size - LENGTH_BYTES, MAX_HEADER):
            raise ImporterError(
                f"{file.name} is no whole safetensors file: of {size} bytes its header would have {length}."
            )
        header = stream.read(length)
    begin = LENGTH_BYTES + length
    tensors = {
        name: _stored(file, name, entry, begin, size)
        for name, entry in _entries(file, header)
        if name != METADATA
    }
    _require_apart(file, tensors, begin, size)
    return tensors


def _entries(file: Path, header: bytes) -> Sequence[tuple[str, Any]]:
    try:
        pairs = json.loads(header.decode(), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise ImporterError(f"{file.name} has a header that is not JSON. Download it again.") from None
    if not isinstance(pairs, _Pairs):
        raise ImporterError(f"{file.name} has a header that is not an object of tensors.")
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ImporterError(f"{file.name} states the tensor {twice} twice.")
    return pairs


class _Pairs(list[tuple[str, Any]]):
    """The keys and values of a JSON object, in which a key may come twice."""


def _stored(file: Path, name: str, entry: object, begin: int, size: int) -> StoredTensor:
    """Return a tensor whose type, shape and bytes agree with each other and with the file."""
    values = dict(entry) if isinstance(entry, _Pairs) else {}
    kind, shape, offsets = (
        values.get("dtype"),
        _sizes(values.get("shape")),
        _sizes(values.get("data_offsets")),
    )
    if not isinstance(kind, str) or shape is None or offsets is None or len(offsets) != 2:
        raise ImporterError(f"{file.name} states the tensor {name} without type, shape or place.")
    width = FLOATS[kind][0] if kind in FLOATS else OTHERS.get(kind)
    if width is None:
        raise ImporterError(f"{file.name} states the tensor {name} as {kind}, which is no known type.")
    first, last = begin + offsets[0], begin + offsets[1]
    if last > size:
        raise ImporterError(
            f"{file.name} ends before its tensor {name}: it has {size} bytes of {last}. Download it again."
        )
    if last - first != math.prod(shape) * width:
        raise ImporterError(
            f"{file.name} states {last - first} bytes for the tensor {name}, whose shape {shape} in {kind} "
            f"has {math.prod(shape) * width}."
        )
    return StoredTensor(file, kind, tuple(shape), first, last)


def _sizes(value: object) -> list[int] | None:
    """Return a list of whole numbers; None for anything else, or more than a tensor has dimensions."""
    if not isinstance(value, list) or isinstance(value, _Pairs) or len(value) > MAX_DIMENSIONS:
        return None
    return value if all(type(size) is int and size >= 0 for size in value) else None


def _require_apart(file: Path, tensors: Mapping[str, StoredTensor], begin: int, size: int) -> None:
    """Raise `ImporterError` where tensors share bytes, or leave some of the file unused."""
    end = begin
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != end:
            raise ImporterError(
                f"{file.name} has the tensor {name} at byte {tensor.begin}, where {end} is expected. "
                "Download it again."
            )
        end = tensor.end
    if end != size:
        raise ImporterError(f"{file.name} has {size} bytes, and its tensors end at {end}. Download it again.")
