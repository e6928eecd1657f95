"""Whom to ask: an address or a deployment of this process. Both give an answer as pieces."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from inference.cli.chunks import AnswerPiece, Refusal, message_of, pieces

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
