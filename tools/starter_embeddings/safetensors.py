"""Reading a safetensors file: eight bytes of header length, a JSON header, then the tensors' raw bytes."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[Any]]

LENGTH_BYTES = 8
DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8"}


def read_tensors(data: bytes) -> Tensors:
    """Return every tensor by name, as read-only views on `data`."""
    header_end = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "little")
    header: dict[str, dict[str, Any]] = json.loads(data[LENGTH_BYTES:header_end])
    body = memoryview(data)[header_end:]
    return {name: tensor(body, entry) for name, entry in header.items() if name != "__metadata__"}


def tensor(body: memoryview, entry: Mapping[str, Any]) -> NDArray[Any]:
    """Return one tensor from its header entry: dtype, shape and byte range within `body`."""
    start, end = entry["data_offsets"]
    return np.frombuffer(body[start:end], dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"])
