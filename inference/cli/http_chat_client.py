"""A chat client for an endpoint over HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import urlsplit

import httpx

from inference.cli.chat_client import AnswerPiece, Body, Refusal, error_message, parse_stream

ROUTE = "chat/completions"
OPENAI_SUFFIX = "/v1"
"""The end of OpenAI base paths, under which streams have usage only if the request asks for it."""
CONNECT_SECONDS = 10
READ_SECONDS = 240
"""Azure's load balancer closes a connection after 230 seconds without a response."""


class HttpChatClient:
    """A client of any base path that has /chat/completions under it."""

    def __init__(self, url: str, *, key: str = "", model: str | None = None) -> None:
        """Make a client of a base path. Raises `Refusal` if it is not a URL."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refusal(f"{url} is not a URL of an endpoint: it must start with http:// or https://.")
        self.host = parts.hostname
        path = parts.path.rstrip("/").removesuffix(f"/{ROUTE}")
        self._url = parts._replace(path=f"{path}/{ROUTE}", fragment="").geturl()
        self._requests_usage = path.endswith(OPENAI_SUFFIX)
        self._model = model
        self._http = httpx.AsyncClient(
            headers={"api-key": key, "authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None),
        )

    async def answer(self, body: Body) -> AsyncGenerator[AnswerPiece, None]:
        """Yield the chunks of an answer. Raises `Refusal`."""
        request = {**body, "stream": True, **({"model": self._model} if self._model else {})}
        if self._requests_usage:
            request["stream_options"] = {"include_usage": True}
        try:
            async with self._http.stream("POST", self._url, json=request) as response:
                if response.status_code != 200:
                    raise Refusal(error_message(await response.aread(), response.status_code))
                async with aclosing(parse_stream(response.aiter_lines())) as pieces:
                    async for piece in pieces:
                        yield piece
        except httpx.HTTPError as error:
            raise Refusal(f"{self._url} cannot be reached: {error or type(error).__name__}") from None

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
