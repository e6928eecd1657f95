"""Server-sent events of a streamed answer become pieces."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

DONE = "[DONE]"


class Refusal(Exception):
    """The endpoint did not answer as asked; the message is its own sentence."""


@dataclass(frozen=True, slots=True)
class AnswerPiece:
    """A piece of the answer: its text, maybe none, and what came with it."""

    text: str = ""
    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None


async def pieces(lines: AsyncIterator[str]) -> AsyncGenerator[AnswerPiece, None]:
    """The pieces of a stream's lines.

    Raises `Refusal` for an error in the middle, and where the end comes without its mark.
    """
    async for line in lines:
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == DONE:
            return
        yield _piece(_object(data))
    raise Refusal("The connection was cut before the answer was complete.")


def message_of(body: bytes, status: int) -> str:
    """The sentence of an error's body, or its begin where it is none of this API's."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"])
    except (ValueError, LookupError, TypeError):
        text = body.decode(errors="replace").strip()
        return f"{status}: {text[:200] or 'no body'}"


def _object(data: str) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refusal(f"A chunk of the stream is no JSON object: {data[:80]}")
    return found


def _piece(chunk: Mapping[str, Any]) -> AnswerPiece:
    if error := chunk.get("error"):
        raise Refusal(str(error.get("message", error)) if isinstance(error, dict) else str(error))
    choices = chunk.get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    return AnswerPiece(delta.get("content") or "", choices[0].get("finish_reason"), chunk.get("usage"))
