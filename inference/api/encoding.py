"""Vectors as the wire writes them, one rule an `encoding_format`.

For the unit vector `[0.6, -0.8, 0, 0, 0, 0, 0, 0]` of 8 dimensions:

    float    [0.6, -0.8, 0, 0, 0, 0, 0, 0]       float32 numbers
    base64   "mpkZP83MTL8AAAAA...AAAA"           little-endian float32, 4 bytes a number, then base64
    int8     [76, -102, 0, 0, 0, 0, 0, 0]        round(x * 127), kept within -128..127
    uint8    [204, 26, 128, 128, 128, ...]       the int8 number + 128
    ubinary  [128]                               one bit a number, 1 where x > 0, the first number highest
    binary   [0]                                 the ubinary number - 128

The scale of int8 and uint8 is symmetric and meant for vectors of length one; the packing of bits is the one
vector databases read, `numpy.packbits(x > 0)`.

Rows of numbers are numpy arrays, which orjson writes with `OPT_SERIALIZE_NUMPY`: no number becomes a Python
object.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

if TYPE_CHECKING:
    from inference.contracts import Vectors

Row: TypeAlias = str | NDArray[np.float32] | NDArray[np.int8] | NDArray[np.uint8]
"""One vector, ready for orjson."""

LEVELS = 127
"""int8 steps from 0 to 1."""
OFFSET = 128
"""The difference of uint8 and ubinary to int8 and binary."""
BITS = 8
"""Numbers packed into one byte."""


class EncodingError(ValueError):
    """These vectors cannot be written in this format; the message is a sentence for the caller."""


def encode(vectors: Vectors, encoding_format: str) -> list[Row]:
    """Return one JSON-ready value for each row of float32 [n, d].

    Raises `EncodingError` for an unknown format, and for binary and ubinary where d does not divide by 8.
    """
    if encoding_format not in ENCODERS:
        raise EncodingError(f"{encoding_format!r} is none of {', '.join(ENCODERS)}.")
    return ENCODERS[encoding_format](np.ascontiguousarray(vectors, np.float32))


def written(rows: Sequence[Row]) -> list[orjson.Fragment]:
    """Return rows as JSON, written one by one: a thread that writes thousands lets others run in between."""
    return [orjson.Fragment(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)) for row in rows]


def shorten(vectors: Vectors, dimensions: int) -> Vectors:
    """Return the first `dimensions` numbers of every row of float32 [n, d], brought back to length one.

    Raises `EncodingError` unless 1 <= dimensions <= d.
    """
    if not 1 <= dimensions <= vectors.shape[1]:
        raise EncodingError(f"{dimensions} dimensions cannot be cut from {vectors.shape[1]}.")
    cut = vectors[:, :dimensions]
    length = np.linalg.norm(cut, axis=1, keepdims=True)
    return (cut / np.where(length > 0, length, 1)).astype(np.float32, copy=False)


def _float(vectors: Vectors) -> list[Row]:
    return list(vectors)


def _base64(vectors: Vectors) -> list[Row]:
    return [b64encode(row).decode("ascii") for row in vectors.astype("<f4", copy=False)]


def _int8(vectors: Vectors) -> list[Row]:
    return list(_levels(vectors).astype(np.int8))


def _uint8(vectors: Vectors) -> list[Row]:
    return list((_levels(vectors) + OFFSET).astype(np.uint8))


def _levels(vectors: Vectors) -> Vectors:
    return np.clip(np.rint(vectors * LEVELS), -OFFSET, LEVELS)


def _ubinary(vectors: Vectors) -> list[Row]:
    return list(_bits(vectors))


def _binary(vectors: Vectors) -> list[Row]:
    return list((_bits(vectors) ^ OFFSET).view(np.int8))


def _bits(vectors: Vectors) -> NDArray[np.uint8]:
    """Return uint8 [n, d / 8], the first of 8 numbers in the highest bit."""
    if vectors.shape[1] % BITS:
        raise EncodingError(f"A vector of {vectors.shape[1]} numbers cannot be packed {BITS} to a byte.")
    return np.packbits(vectors > 0, axis=1)


ENCODERS: Mapping[str, Callable[[Vectors], list[Row]]] = {
    "float": _float,
    "base64": _base64,
    "int8": _int8,
    "uint8": _uint8,
    "binary": _binary,
    "ubinary": _ubinary,
}
