"""Records for the tests of stores."""

from __future__ import annotations

from typing import Any

from inference.response_store.ids import new_response_id
from inference.response_store.record import StoredResponse

NOW = 1_800_000_000.0
DAY = 86_400.0


def record(
    response_id: str = "",
    *,
    owner: str = "",
    text: str = "Good day.",
    created: float = NOW,
    expires: float = NOW + 30 * DAY,
    context: tuple[dict[str, Any], ...] = (),
) -> StoredResponse:
    """Return a record of a short turn."""
    response_id = response_id or new_response_id()
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    return StoredResponse(
        id=response_id,
        owner=owner,
        created=created,
        expires=expires,
        response={"id": response_id, "object": "response", "output": [message], "usage": None, "top_p": 1.0},
        items=({"type": "message", "role": "user", "content": "Hello"},),
        context=context,
    )
