"""A chat client for a deployment of this machine, served in this process through the whole service."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import orjson

from inference.api.http_types import HttpRequest, resolve
from inference.auth.authority import Authenticator
from inference.cli.chat_client import AnswerPiece, Body, Refusal, error_message, parse_stream
from inference.contracts import Route
from inference.errors import ApiError
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings

LOAD_SECONDS = 3600
"""The longest wait for a model to load: a user at a terminal can interrupt it."""
HEADERS = {"content-type": "application/json"}


class InProcessChatClient:
    """A client of one chat deployment."""

    def __init__(self, name: str | None, settings: Settings) -> None:
        """Make a client of the named chat deployment, or of the default one.

        Raises `Refusal` if there is none.
        """
        settings = replace(settings, anonymous=True, load_seconds=LOAD_SECONDS)
        authority = Authenticator.from_settings(settings, loopback=True)
        self._service = Service(settings, Registry(settings), authority)
        try:
            self.name = self._service.registry.choose(Route.CHAT, fixed=name, model=None).name
        except ApiError as error:
            self._service.close()
            raise Refusal(error.message) from None

    async def answer(self, body: Body) -> AsyncGenerator[AnswerPiece, None]:
        """Yield the chunks of an answer. Raises `Refusal`."""
        response = await self._service.answer(self._http_request(orjson.dumps({**body, "stream": True})))
        if isinstance(response.body, bytes):
            raise Refusal(error_message(response.body, response.status))
        async with aclosing(response.body) as stream, aclosing(parse_stream(_lines(stream))) as pieces:
            async for piece in pieces:
                yield piece

    async def close(self) -> None:
        """Close the models."""
        self._service.close()

    def _http_request(self, body: bytes) -> HttpRequest:
        path = f"deployments/{self.name}/{Route.CHAT}"

        async def read(_: int) -> bytes:
            return body

        async def is_disconnected() -> bool:
            return False

        return HttpRequest("POST", f"/{path}", resolve(path), HEADERS, {}, read, is_disconnected)


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[str, None]:
    """Yield the lines of a stream whose chunks may end anywhere."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode()
    if rest:
        yield rest.decode()
