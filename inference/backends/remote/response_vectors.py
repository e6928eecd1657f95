"""Embeddings in an endpoint's response, as one array."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from inference.backends.remote.response_events import token_count
from inference.backends.remote.upstream_errors import malformed_response
from inference.contracts import Embeddings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from inference.contracts import Vectors


def parse_vectors(body: Any, inputs: int, dimensions: int | None, name: str) -> Embeddings:
    """Return float32 [inputs, dimensions], each row at its index. May take milliseconds.

    Args:
        body: The JSON of the response.
        inputs: The number of inputs.
        dimensions: The dimensions that the card declares, if it does.
        name: The deployment's name, for messages.

    Raises:
        UpstreamError: The body is malformed, a row is missing or of another length, or a number not finite.
    """
    import numpy as np

    rows = _parse_rows(body, name)
    if sorted(rows) != list(range(inputs)):
        raise malformed_response(name, f"{len(body['data'])} vectors for {inputs} inputs")
    sizes = {row.size for row in rows.values()}
    if len(sizes) != 1 or sizes == {0} or (dimensions is not None and sizes != {dimensions}):
        found = ", ".join(str(size) for size in sorted(sizes))
        raise malformed_response(name, f"vectors of {found} numbers, not of {dimensions or 'one length'}")
    vectors: Vectors = np.stack([rows[index] for index in range(inputs)])
    if not np.isfinite(vectors).all():
        raise malformed_response(name, "numbers that are not finite")
    usage = body["usage"] if isinstance(body.get("usage"), dict) else {}
    return Embeddings(
        vectors, token_count(usage.get("prompt_tokens")), token_count(usage.get("prompt_patches"))
    )


def _parse_rows(body: Any, name: str) -> dict[int, NDArray[np.float32]]:
    """Return the vectors by the index of their input. Raises `UpstreamError`."""
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, list):
        raise malformed_response(name, "something other than a list of vectors")
    rows: dict[int, NDArray[np.float32]] = {}
    for position, item in enumerate(data):
        index = item.get("index", position) if isinstance(item, dict) else None
        if not isinstance(index, int):
            raise malformed_response(name, "something other than a list of vectors")
        rows[index] = _parse_row(item.get("embedding"), name)
    return rows


def _parse_row(value: Any, name: str) -> NDArray[np.float32]:
    """Return the vector in base64 of little-endian float32, or in a list of numbers."""
    import numpy as np

    try:
        if isinstance(value, str):
            return np.frombuffer(b64decode(value, validate=True), "<f4").astype(np.float32)
        row = np.asarray(value, np.float32)
    except (binascii.Error, ValueError, TypeError):
        raise malformed_response(name, "a vector that cannot be read") from None
    if row.ndim != 1:
        raise malformed_response(name, "a vector that is not a list of numbers")
    return row
