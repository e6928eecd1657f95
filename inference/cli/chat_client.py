"""Clients of chat completions: their protocol, and the parser of streamed answers."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

Body: TypeAlias = Mapping[str, Any]
"""The JSON body of a request."""

DONE = "[DONE]"
"""The data of a stream's last event."""


class Refusal(Exception):
    """A request that was refused, or an answer that broke off; the message is for the user."""


@dataclass(frozen=True, slots=True)
class AnswerPiece:
    """A chunk of an answer."""

    text: str = ""
    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None


class ChatClient(Protocol):
    """A client that streams the answers to conversations."""

    def answer(self, body: Body) -> AsyncGenerator[AnswerPiece, None]:
        """Yield the chunks of an answer. Raises `Refusal`. Closing the iterator stops the answer."""
        ...

    async def close(self) -> None:
        """Close the client's connections or models."""
        ...


async def parse_stream(lines: AsyncIterator[str]) -> AsyncGenerator[AnswerPiece, None]:
    """Yield the chunks in the lines of server-sent events.

    Raises `Refusal` for an error event, and if the stream ends without `[DONE]`.
    """
    async for line in lines:
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == DONE:
            return
        yield _piece(_object(data))
    raise Refusal("The connection was closed before the answer was complete.")


def _object(data: str) -> Mapping[str, Any]:
    """Return the JSON object of an event. Raises `Refusal`."""
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refusal(f"A chunk of the stream is not a JSON object: {data[:80]}")
    return value


def _piece(chunk: Mapping[str, Any]) -> AnswerPiece:
    """Return the part of a chunk that is shown. Raises `Refusal` for an error."""
    if error := chunk.get("error"):
        raise Refusal(str(error.get("message", error)) if isinstance(error, dict) else str(error))
    choices = chunk.get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    return AnswerPiece(delta.get("content") or "", choices[0].get("finish_reason"), chunk.get("usage"))


def error_message(body: bytes, status: int) -> str:
    """Return the message in an error's body, or the start of a body that has none."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"])
    except (ValueError, LookupError, TypeError):
        text = body.decode(errors="replace").strip()
        return f"{status}: {text[:200] or 'no body'}"
