"""The tensors of a GGUF file as the weights of a graph, under their names in transformers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inference.importer.findings import ImporterError
from inference.importer.gguf.blocks import QUANTIZATIONS
from inference.importer.gguf.fields import DAMAGED
from inference.importer.gguf.forms import CHUNK, FormedMatrix, Loss, bits_of, is_exact
from inference.importer.gguf.header import GgufHeader, GgufTensor
from inference.importer.gguf.rows import TensorRows, rows_by_name
from inference.importer.gguf.tensor_types import BF16, F16, F32, TensorType
from inference.importer.graph.weights import BLOCK, BlockMatrix, Bytes, FloatMatrix, Floats, Matrix

FLOATS: Mapping[TensorType, str] = {F32: "<f4", F16: "<f2", BF16: "<u2"}


@dataclass(slots=True)
class GgufWeights:
    """The weights of a GGUF file, read one at a time; `losses` has what each cost that was read."""

    header: GgufHeader
    eight_bits: bool = False
    """True to round matrices of floats to 8 bits; those of quantized types have a form of their own."""
    in_float: bool = False
    """True to give every matrix in float32, as a reference: nothing is rounded, and it runs slowly."""
    losses: dict[str, Loss] = field(default_factory=dict)
    rows: Mapping[str, TensorRows] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = rows_by_name(self.header)

    @property
    def names(self) -> Collection[str]:
        return self.rows.keys()

    def matrix(self, name: str) -> Matrix:
        """Return a matrix in the form in which the graph stores it.

        Raises `KeyError` for an unknown name and `ImporterError` for a tensor that cannot be read.
        """
        rows = self.rows[name]
        shape = (rows.end - rows.begin, rows.columns)
        if len(rows.tensor.shape) != 2:
            raise self._refused(
                rows.tensor, f"has {len(rows.tensor.shape)} dimensions, not the 2 of a matrix. {DAMAGED}"
            )
        if self._stays_float(rows):
            return FloatMatrix(_in_order(self._floats(rows).reshape(shape), rows.heads))
        formed = self._formed(rows, shape)
        self.losses[name] = formed.loss
        return _blocks_in_order(formed.matrix(), rows.heads)

    def vector(self, name: str) -> Floats:
        """Return a bias or the gains of a norm, [size]. Raises as `matrix` does."""
        rows = self.rows[name]
        if len(rows.tensor.shape) != 1:
            raise self._refused(
                rows.tensor, f"has {len(rows.tensor.shape)} dimensions, not the 1 of a vector. {DAMAGED}"
            )
        return _in_order(self._floats(rows) - np.float32(rows.gain), rows.heads)

    def _stays_float(self, rows: TensorRows) -> bool:
        if self.in_float:
            return True
        return rows.tensor.type in FLOATS and not (self.eight_bits and not rows.columns % BLOCK)

    def _formed(self, rows: TensorRows, shape: tuple[int, int]) -> FormedMatrix:
        kind = rows.tensor.type
        exact = is_exact(kind)
        formed = FormedMatrix(shape, bits_of(kind), offsets=exact and QUANTIZATIONS[kind].low == 0)
        with _unchecked():
            for blocks in self._blocks(rows):
                if exact:
                    formed.keep(QUANTIZATIONS[kind].read(blocks), QUANTIZATIONS[kind])
                else:
                    formed.round(_values(blocks, kind))
        self._require_finite(rows.tensor, formed.scales)
        return formed

    def _floats(self, rows: TensorRows) -> Floats:
        """Return rows as float32, [weights]."""
        with _unchecked():
            values = [_values(blocks, rows.tensor.type).reshape(-1) for blocks in self._blocks(rows)]
        joined = values[0] if len(values) == 1 else np.concatenate(values)
        self._require_finite(rows.tensor, joined)
        return joined

    def _blocks(self, rows: TensorRows) -> Iterator[Bytes]:
        """Yield the blocks of rows, [blocks, bytes of a block], some at a time."""
        kind = rows.tensor.type
        first, count = (number * rows.columns // kind.block for number in (rows.begin, rows.end - rows.begin))
        step = CHUNK // kind.block
        with rows.tensor.path.open("rb") as file:
            file.seek(rows.tensor.offset + first * kind.size)
            for begin in range(0, count, step):
                size = min(step, count - begin) * kind.size
                data = np.fromfile(file, np.uint8, size)
                if len(data) < size:
                    raise self._refused(rows.tensor, f"ends early. {DAMAGED}")
                yield data.reshape(-1, kind.size)

    def _require_finite(self, tensor: GgufTensor, values: NDArray[np.float32]) -> None:
        if not np.isfinite(values).all():
            raise self._refused(tensor, f"has numbers that are not finite. {DAMAGED}")

    @staticmethod
    def _refused(tensor: GgufTensor, reason: str) -> ImporterError:
        return ImporterError(f"The tensor {tensor.name} of {tensor.path.name} {reason}")


def _unchecked() -> np.errstate:
    """Return a context for numbers that are refused, if they are not finite, once a tensor is read."""
    return np.errstate(invalid="ignore", over="ignore")


def _values(blocks: Bytes, kind: TensorType) -> Floats:
    """Return blocks as float32, [blocks, weights of a block]."""
    if kind not in FLOATS:
        return QUANTIZATIONS[kind].read(blocks).values()
    numbers = blocks.view(FLOATS[kind])
    if kind is BF16:
        return (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers.astype(np.float32)


def _order(rows: int, heads: int) -> NDArray[np.int64]:
    """Return the places of a head's halves among rows in pairs: pair i has row i of either half."""
    return np.arange(rows).reshape(heads, -1, 2).swapaxes(1, 2).reshape(-1)


def _in_order(values: Floats, heads: int) -> Floats:
    return values[_order(len(values), heads)] if heads else values


def _blocks_in_order(matrix: BlockMatrix, heads: int) -> BlockMatrix:
    if not heads:
        return matrix
    order = _order(len(matrix.levels), heads)
    offsets = None if matrix.offsets is None else matrix.offsets[order]
    return BlockMatrix(matrix.bits, matrix.levels[order], matrix.scales[order], offsets)
