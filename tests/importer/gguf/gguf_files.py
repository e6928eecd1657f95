"""GGUF files as bytes, written field by field so that each can be wrong."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from inference.importer.gguf.tensor_types import F32, TYPES, TensorType

NUMBER = {kind: number for number, kind in TYPES.items()}
ALIGNMENT = 32


@dataclass(frozen=True)
class Field:
    """A value with the number of its type, and the format of struct."""

    kind: int
    format: str
    value: Any


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def value_of(value: Any) -> bytes:
    """Return type and value as the converters of llama.cpp write them."""
    match value:
        case Field(kind, layout, number):
            return struct.pack("<I" + layout, kind, number)
        case bytes():
            return struct.pack("<I", 8) + text(value)
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + text(value)
        case [*items] if items and all(isinstance(item, int) for item in items):
            return struct.pack(f"<IIQ{len(items)}i", 9, 5, len(items), *items)
        case [*items] if items and all(isinstance(item, float) for item in items):
            return struct.pack(f"<IIQ{len(items)}f", 9, 6, len(items), *items)
        case [*items]:
            return struct.pack("<IIQ", 9, 8, len(items)) + b"".join(text(item) for item in items)
    raise TypeError(value)


@dataclass(frozen=True)
class Tensor:
    """A tensor: name, shape as numpy writes it, bytes, type and, where it lies, its offset."""

    name: str | bytes
    shape: tuple[int, ...]
    data: bytes
    kind: TensorType | int = F32
    offset: int | None = None

    @classmethod
    def of(cls, name: str, values: Any) -> Tensor:
        array = np.asarray(values, np.float32)
        return cls(name, array.shape, array.tobytes())


@dataclass
class GgufFile:
    """The contents of a file; what is None is counted."""

    metadata: Mapping[Any, Any] | Sequence[tuple[str | bytes, Any]] = field(default_factory=dict)
    tensors: Sequence[Tensor] = ()
    magic: bytes = b"GGUF"
    version: int = 3
    tensor_count: int | None = None
    key_count: int | None = None
    cut: int | None = None

    def header(self) -> bytes:
        pairs = list(self.metadata.items()) if isinstance(self.metadata, Mapping) else list(self.metadata)
        count = len(self.tensors) if self.tensor_count is None else self.tensor_count
        keys = len(pairs) if self.key_count is None else self.key_count
        parts = [self.magic, struct.pack("<IQQ", self.version, count, keys)]
        parts += [text(key) + value_of(value) for key, value in pairs]
        place = 0
        for tensor in self.tensors:
            number = tensor.kind if isinstance(tensor.kind, int) else NUMBER[tensor.kind]
            shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *reversed(tensor.shape))
            offset = place if tensor.offset is None else tensor.offset
            parts.append(text(tensor.name) + shape + struct.pack("<IQ", number, offset))
            place += -(-len(tensor.data) // ALIGNMENT) * ALIGNMENT
        return b"".join(parts)

    def content(self) -> bytes:
        parts = [padded(self.header()), *(padded(tensor.data) for tensor in self.tensors)]
        return b"".join(parts)[: self.cut]

    def write(self, path: Path) -> Path:
        path.write_bytes(self.content())
        return path


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % ALIGNMENT)


def llama_metadata(**changes: Any) -> dict[str, Any]:
    """Return the metadata of a llama of one layer with the sizes of `llama_tensors`."""
    return {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "llama.embedding_length": 64,
        "llama.feed_forward_length": 96,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.context_length": 128,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": [f"t{index}" for index in range(40)],
        **changes,
    }


def llama_arrays(seed: int = 0, layers: int = 1) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Return random tensors of a llama by their names in a file."""
    shapes = {
        "attn_norm": (64,),
        "attn_q": (64, 64),
        "attn_k": (32, 64),
        "attn_v": (32, 64),
        "attn_output": (64, 64),
        "ffn_norm": (64,),
        "ffn_gate": (96, 64),
        "ffn_up": (96, 64),
        "ffn_down": (64, 96),
    }
    rng = np.random.default_rng(seed)
    named = {f"blk.{layer}.{name}.weight": shape for layer in range(layers) for name, shape in shapes.items()}
    named |= {"token_embd.weight": (40, 64), "output_norm.weight": (64,)}
    return {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in named.items()}


def llama_tensors(seed: int = 0, layers: int = 1) -> list[Tensor]:
    return [Tensor.of(name, values) for name, values in llama_arrays(seed, layers).items()]
