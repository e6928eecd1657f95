"""The file of external data beside a graph: tensors are appended one at a time and not kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

INLINE = 1024
"""Bytes of a tensor that stays in the graph itself, where shape inference can read it."""
ALIGNMENT, PAGE = 64, 4096
"""Tensors of a page or more begin at a page, so that they can be mapped."""


@dataclass(slots=True)
class ExternalData:
    """An open file of external data, and the initializers that refer to it."""

    file: BinaryIO
    location: str
    """The file's name as the graph states it."""
    tensors: dict[str, onnx.TensorProto] = field(default_factory=dict)
    size: int = 0
    _written: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    """Places of small tensors by their digests: many layers have the same."""

    def add(self, name: str, values: NDArray[Any]) -> str:
        """Append a tensor and return its name."""
        values = np.ascontiguousarray(values)
        if values.nbytes < INLINE:
            self.tensors[name] = numpy_helper.from_array(values, name)
            return name
        offset, length = self._place(values)
        self.tensors[name] = self._reference(
            name, helper.np_dtype_to_tensor_dtype(values.dtype), values.shape, offset, length
        )
        return name

    def view(self, name: str, of: str, shape: tuple[int, ...]) -> str:
        """Add a tensor of another shape over the bytes of an earlier one, and return its name."""
        original = self.tensors[of]
        copy = onnx.TensorProto()
        copy.CopyFrom(original)
        copy.name = name
        del copy.dims[:]
        copy.dims.extend(shape)
        self.tensors[name] = copy
        return name

    def _place(self, values: NDArray[Any]) -> tuple[int, int]:
        data = values.reshape(-1).view(np.uint8).data
        digest = hashlib.blake2b(data, digest_size=16).digest() if values.nbytes < PAGE else b""
        if digest in self._written:
            return self._written[digest]
        alignment = PAGE if values.nbytes >= PAGE else ALIGNMENT
        offset = -(-self.size // alignment) * alignment
        self.file.write(bytes(offset - self.size))
        self.file.write(data)
        self.size = offset + values.nbytes
        if digest:
            self._written[digest] = (offset, values.nbytes)
        return offset, values.nbytes

    def _reference(
        self, name: str, kind: int, shape: tuple[int, ...], offset: int, length: int
    ) -> onnx.TensorProto:
        tensor = TensorProto(name=name, data_type=kind, data_location=TensorProto.EXTERNAL, dims=shape)
        for key, value in {"location": self.location, "offset": offset, "length": length}.items():
            tensor.external_data.add(key=key, value=str(value))
        return tensor
