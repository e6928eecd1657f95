"""The record of one response: all that a next turn needs, as one JSON document.

A record has the whole conversation before it and not a pointer to the turn before, so that a turn is one
read, and deleting an early turn does not break the later ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

SCHEMA = 1
"""The version of the document. A record of another version is not read."""

Item: TypeAlias = Mapping[str, Any]


class UnreadableRecord(ValueError):
    """Bytes that are no record of this version."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """One response with its input and the conversation before it."""

    id: str
    owner: str
    """The identity of the caller who made it; empty for callers that cannot be distinguished."""
    created: float
    """Seconds since the epoch."""
    expires: float
    """Seconds since the epoch from which the response is gone."""
    response: Mapping[str, Any]
    """The response's JSON as the request for it was answered."""
    items: Sequence[Item]
    """The input items of this turn, with their ids and status."""
    context: Sequence[Item]
    """All items of the turns before, instructions excluded."""

    def encode(self) -> bytes:
        """Return the record as a JSON document."""
        document = {
            "schema": SCHEMA,
            "id": self.id,
            "owner": self.owner,
            "created": self.created,
            "expires": self.expires,
            "response": self.response,
            "items": list(self.items),
            "context": list(self.context),
        }
        return encode_json(document)

    @classmethod
    def decode(cls, content: bytes) -> StoredResponse:
        """Return the record of a JSON document. Raises `UnreadableRecord`."""
        try:
            document = json.loads(content.decode("utf-8", "surrogatepass"))
            if document["schema"] != SCHEMA:
                raise UnreadableRecord(f"expected a record of version {SCHEMA}, not {document['schema']!r}")
            return cls(
                id=document["id"],
                owner=document["owner"],
                created=document["created"],
                expires=document["expires"],
                response=document["response"],
                items=tuple(document["items"]),
                context=tuple(document["context"]),
            )
        except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise UnreadableRecord(f"no record can be read ({type(error).__name__})") from None


def encode_json(value: Any) -> bytes:
    """Return compact JSON in UTF-8; half of a surrogate pair, which a caller may send, survives."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")
