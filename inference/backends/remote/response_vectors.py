"""What an endpoint answers to inputs, as vectors."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from inference.contracts import Embeddings
from inference.errors import UpstreamError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from inference.contracts import Vectors


def vectors(body: Any, inputs: int, dimensions: int | None, name: str) -> Embeddings:
    """One row an input, by the index that it was given. May take milliseconds.

    Raises `UpstreamError` for a body that is none, a row too few or of another length, or numbers that are no
    finite ones; `dimensions` is what the card declares.
    """
    import numpy as np

    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        raise _unsound(name, "what is no list of vectors")
    rows: dict[int, NDArray[np.float32]] = {}
    for place, item in enumerate(body["data"]):
        index = item.get("index", place) if isinstance(item, dict) else None
        if not isinstance(index, int):
            raise _unsound(name, "what is no list of vectors")
        rows[index] = _row(item.get("embedding"), name)
    if sorted(rows) != list(range(inputs)):
        raise _unsound(name, f"{len(body['data'])} vectors for {inputs} inputs")
    sizes = {row.size for row in rows.values()}
    if len(sizes) != 1 or sizes == {0} or (dimensions is not None and sizes != {dimensions}):
        found = ", ".join(str(size) for size in sorted(sizes))
        raise _unsound(name, f"vectors of {found} numbers, not of {dimensions or 'one length'}")
    table: Vectors = np.stack([rows[index] for index in range(inputs)])
    if not np.isfinite(table).all():
        raise _unsound(name, "numbers that are not finite")
    usage = body["usage"] if isinstance(body.get("usage"), dict) else {}
    return Embeddings(table, _count(usage.get("prompt_tokens")), _count(usage.get("prompt_patches")))


def _row(value: Any, name: str) -> NDArray[np.float32]:
    """Of base64 little-endian float32, or of numbers."""
    import numpy as np

    try:
        if isinstance(value, str):
            return np.frombuffer(b64decode(value, validate=True), "<f4").astype(np.float32)
        row = np.asarray(value, np.float32)
    except (binascii.Error, ValueError, TypeError):
        raise _unsound(name, "a vector that cannot be read") from None
    if row.ndim != 1:
        raise _unsound(name, "a vector that is no list of numbers")
    return row


def _unsound(name: str, what: str) -> UpstreamError:
    return UpstreamError(f"The endpoint of {name} answered with {what}.")


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
