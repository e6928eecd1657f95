"""The header of a GGUF file: its metadata, and where each tensor is; read without reading a tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.importer.findings import ImporterError
from inference.importer.gguf.fields import DAMAGED, Fields, Strings, Value, printable
from inference.importer.gguf.tensor_types import TYPES, UNREAD, TensorType

MAGIC = b"GGUF"
VERSION = 3
MAX_ENTRIES = 65_536
"""Most keys and most tensors of a file; the largest models have some thousand tensors."""
MAX_KEY, MAX_TENSOR_NAME = 65_535, 63
"""Bytes of a key and of a tensor's name, as llama.cpp limits them."""
MIN_KEY_BYTES, MIN_TENSOR_BYTES = 8 + 4 + 1, 8 + 4 + 8 + 4 + 8
MAX_DIMENSIONS = 4
ALIGNMENT_KEY, DEFAULT_ALIGNMENT = "general.alignment", 32
LARGEST = float(np.finfo(np.float32).max)
BIG_ENDIAN_VERSIONS = (0x0200_0000, 0x0300_0000)


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """A tensor of a file: its shape as numpy writes it, [out, in] for a matrix, and its first byte."""

    name: str
    shape: tuple[int, ...]
    type: TensorType
    offset: int
    """Bytes from the beginning of the file."""
    path: Path
    """The file, which may be one of several parts."""

    @property
    def size(self) -> int:
        """Bytes of its data."""
        return math.prod(self.shape) // self.type.block * self.type.size


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """The header of a file, valid as a whole: every tensor lies within the file and overlaps no other."""

    path: Path
    version: int
    metadata: Mapping[str, Value]
    tensors: Mapping[str, GgufTensor]
    """By name, in the file's order."""

    @property
    def architecture(self) -> str:
        return self.text("general.architecture") or ""

    def key(self, name: str) -> str:
        """Return a key of the architecture, such as llama.block_count for block_count."""
        return f"{self.architecture}.{name}"

    def text(self, key: str) -> str | None:
        """Return a text, None where it is missing. Raises `ImporterError` for another type."""
        value = self.metadata.get(key)
        if value is None or isinstance(value, str):
            return value
        raise self._wrong(key, "a text")

    def flag(self, key: str) -> bool | None:
        """Return a truth value, None where it is missing. Raises `ImporterError` for another type."""
        value = self.metadata.get(key)
        if value is None or isinstance(value, bool):
            return value
        raise self._wrong(key, "true or false")

    def integer(self, key: str) -> int | None:
        """Return a whole number, None where it is missing. Raises `ImporterError` for another type."""
        value = self.metadata.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise self._wrong(key, "a whole number")

    def number(self, key: str) -> float | None:
        """Return a number of float32's range, None where it is missing. Raises `ImporterError` for others."""
        value = self.metadata.get(key)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST:
            return float(value)
        raise self._wrong(key, "a finite number")

    def numbers(self, key: str) -> NDArray[Any] | None:
        """Return an array of numbers, None where it is missing. Raises `ImporterError` for another type."""
        value = self.metadata.get(key)
        if value is None or isinstance(value, np.ndarray):
            return value
        raise self._wrong(key, "an array of numbers")

    def strings(self, key: str) -> Sequence[str] | None:
        """Return an array of texts, None where it is missing. Raises `ImporterError` for another type."""
        value = self.metadata.get(key)
        if isinstance(value, np.ndarray) and not len(value):
            return ()
        if value is None or isinstance(value, Strings):
            return value
        raise self._wrong(key, "an array of texts")

    def _wrong(self, key: str, expected: str) -> ImporterError:
        return ImporterError(
            f"{self.path.name} cannot be used: its metadata has another value in {key} than {expected}. "
            "Take a file that llama.cpp's converter wrote."
        )


def read_header(path: Path) -> GgufHeader:
    """Read the header of one file; a part of a split model is read alone.

    Raises `ImporterError` for a file that is not GGUF version 3, is not whole, contradicts itself, or has
    tensors of a type that is not read.
    """
    fields = Fields(_mapped(path), path)
    version = _version(fields)
    tensor_count = fields.count("the tensors", MIN_TENSOR_BYTES)
    key_count = fields.count("the keys", MIN_KEY_BYTES)
    if max(tensor_count, key_count) > MAX_ENTRIES:
        fields.damaged(
            f"it has {tensor_count:,} tensors and {key_count:,} keys, and {MAX_ENTRIES:,} are read"
        )
    metadata = _metadata(fields, key_count)
    relative = _tensors(fields, tensor_count)
    tensors = _placed(fields, relative, _alignment(fields, metadata))
    return GgufHeader(path, version, metadata, tensors)


def _mapped(path: Path) -> mmap:
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise ImporterError(f"{path.name} is empty. {DAMAGED}")
            return mmap(file.fileno(), 0, access=ACCESS_READ)
    except OSError as error:
        raise ImporterError(f"{path} cannot be read: {error.strerror}.") from None


def _version(fields: Fields) -> int:
    magic = fields.data[:4]
    if magic != MAGIC:
        raise ImporterError(
            f"{fields.name} is not a GGUF file: it begins with {magic!r}, not {MAGIC!r}. {_advice(magic)}"
        )
    fields.position = len(MAGIC)
    version = int(fields.number("<u4", "the version"))
    if version in BIG_ENDIAN_VERSIONS:
        raise ImporterError(f"{fields.name} is big endian. Take a little endian file of the model.")
    if version != VERSION:
        age = "older" if version < VERSION else "newer"
        raise ImporterError(
            f"{fields.name} has GGUF version {version}, which is {age} than the one that is read, {VERSION}. "
            "Take a file that a llama.cpp since October 2023 wrote."
        )
    return version


def _advice(magic: bytes) -> str:
    if magic in (b"lmgg", b"tjgg", b"fmgg", b"algg"):
        return "It has a format of llama.cpp from before GGUF: take a newer file of the model."
    if magic == b"vers":
        return "It is a pointer of Git LFS: run `git lfs pull`."
    return DAMAGED


def _metadata(fields: Fields, count: int) -> dict[str, Value]:
    metadata: dict[str, Value] = {}
    for index in range(count):
        key = fields.string(f"key {index}")
        if not 0 < len(key) <= MAX_KEY:
            fields.damaged(f"key {index} has {len(key)} letters")
        if key in metadata:
            fields.damaged(f"it has the key {key[:80]} twice")
        kind = int(fields.number("<u4", f"the type of {key[:80]}"))
        metadata[key] = fields.value(kind, key[:80])
    return metadata


def _tensors(fields: Fields, count: int) -> dict[str, GgufTensor]:
    """Return the tensors with offsets from the beginning of the data."""
    tensors: dict[str, GgufTensor] = {}
    for index in range(count):
        name = fields.string(f"the name of tensor {index}")
        if len(name.encode()) > MAX_TENSOR_NAME:
            fields.damaged(f"the name of tensor {index} is longer than {MAX_TENSOR_NAME} bytes")
        if name in tensors:
            fields.damaged(f"it has the tensor {name} twice")
        tensors[name] = _tensor(fields, name)
    return tensors


def _tensor(fields: Fields, name: str) -> GgufTensor:
    dimensions = int(fields.number("<u4", f"the shape of {name}"))
    if not 0 < dimensions <= MAX_DIMENSIONS:
        fields.damaged(f"the tensor {name} has {dimensions} dimensions; 1 to {MAX_DIMENSIONS} are allowed")
    sizes = [int(fields.number("<u8", f"the shape of {name}")) for _ in range(dimensions)]
    kind = _type(fields, name)
    offset = int(fields.number("<u8", f"the offset of {name}"))
    if not all(sizes):
        fields.damaged(f"the tensor {name} has the shape {sizes}, with nothing in it")
    if sizes[0] % kind.block:
        fields.damaged(f"the rows of {name} have {sizes[0]} weights, no multiple of {kind}'s {kind.block}")
    return GgufTensor(name, tuple(reversed(sizes)), kind, offset, fields.path)


def _type(fields: Fields, name: str) -> TensorType:
    number = int(fields.number("<u4", f"the type of {name}"))
    if number not in TYPES:
        known = UNREAD.get(number, f"with the number {number}")
        raise ImporterError(
            f"{fields.name} has the tensor {printable(name)} of type {known}, which is not read. Take a file "
            f"of another quantization: {', '.join(each.name for each in TYPES.values())} are read."
        )
    return TYPES[number]


def _alignment(fields: Fields, metadata: Mapping[str, Value]) -> int:
    value = metadata.get(ALIGNMENT_KEY, DEFAULT_ALIGNMENT)
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0 or value & (value - 1):
        fields.damaged(f"{ALIGNMENT_KEY} is {value!r:.40}, not a power of two")
    return value


def _placed(fields: Fields, tensors: Mapping[str, GgufTensor], alignment: int) -> dict[str, GgufTensor]:
    """Return the tensors with offsets from the beginning of the file, each in bytes of its own."""
    start = -(-fields.position // alignment) * alignment
    placed: dict[str, GgufTensor] = {}
    for tensor in tensors.values():
        if tensor.offset % alignment:
            fields.damaged(f"the tensor {tensor.name} is not aligned to {alignment} bytes")
        end = start + tensor.offset + tensor.size
        if end > len(fields.data):
            fields.damaged(f"the tensor {tensor.name} would end at byte {end:,} of {len(fields.data):,}")
        placed[tensor.name] = replace(tensor, offset=start + tensor.offset)
    in_order = sorted(placed.values(), key=lambda tensor: tensor.offset)
    for first, second in pairwise(in_order):
        if first.offset + first.size > second.offset:
            fields.damaged(f"the tensors {first.name} and {second.name} overlap")
    return placed
