"""Server-sent events of a streamed answer become pieces."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

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


CHAT = "chat/completions"
CONNECT_SECONDS = 10
ANSWER_SECONDS = 240
"""No answer on Azure begins later than after 230 seconds."""
OPENAI = "/v1"
"""Base paths that end so speak OpenAI's dialect, which tells usage only when asked."""

Body = Mapping[str, Any]


class ChatClient(Protocol):
    """Somebody who answers conversations."""

    def answer(self, body: Body) -> AsyncGenerator[AnswerPiece, None]:
        """The pieces of a streamed answer. Raises `Refusal`. Closing the iterator ends the answer."""
        ...

    async def close(self) -> None: ...


class HttpChatClient:
    """An endpoint elsewhere: any base path that has /chat/completions under it."""

    def __init__(self, url: str, *, key: str = "", model: str | None = None) -> None:
        """Raises `Refusal` for what is no address."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refusal(f"{url} is no address: it begins with http:// or https://.")
        self.host = parts.hostname
        path = parts.path.rstrip("/").removesuffix(f"/{CHAT}")
        base = parts._replace(path=f"{path}/{CHAT}", fragment="")
        self._url, self._asks_usage = base.geturl(), path.endswith(OPENAI)
        self._model = model
        headers = {"api-key": key, "authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        limits = httpx.Limits(max_connections=None)
        self._http = httpx.AsyncClient(headers=headers, timeout=timeout, limits=limits)

    async def answer(self, body: Body) -> AsyncGenerator[AnswerPiece, None]:
        asked = {**body, "stream": True, **({"model": self._model} if self._model else {})}
        if self._asks_usage:
            asked["stream_options"] = {"include_usage": True}
        try:
            async with self._http.stream("POST", self._url, json=asked) as response:
                if response.status_code != 200:
                    raise Refusal(message_of(await response.aread(), response.status_code))
                async with aclosing(pieces(response.aiter_lines())) as stream:
                    async for piece in stream:
                        yield piece
        except httpx.HTTPError as error:
            raise Refusal(f"{self._url} cannot be reached: {error or type(error).__name__}") from None

    async def close(self) -> None:
        await self._http.aclose()
