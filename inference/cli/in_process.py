"""A deployment of this machine, asked in this process through the whole journey of a request."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import orjson

from inference.api.http_types import HttpRequest
from inference.api.paths import resolve
from inference.auth.authority import Authority
from inference.cli.chat_client import Body
from inference.cli.chunks import AnswerPiece, Refusal, message_of, pieces
from inference.contracts import Route
from inference.errors import ApiError
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings

PATIENCE = 3600
"""Seconds: whoever sits before the terminal waits for a large model to load."""
HEADERS = {"content-type": "application/json"}


class InProcessChatClient:
    """A `ChatClient`."""

    def __init__(self, name: str | None, settings: Settings) -> None:
        """Raises `Refusal` where no chat deployment has the name, or it is not clear which is meant."""
        opened = replace(settings, anonymous=True, load_seconds=PATIENCE)
        self._service = Service(opened, Registry(opened), Authority.from_settings(opened, loopback=True))
        try:
            self.name = self._service.registry.choose(Route.CHAT, fixed=name, asked=None).name
        except ApiError as error:
            self._service.close()
            raise Refusal(error.message) from None

    async def answer(self, body: Body) -> AsyncGenerator[AnswerPiece, None]:
        answer = await self._service.answer(self._call(orjson.dumps({**body, "stream": True})))
        if isinstance(answer.body, bytes):
            raise Refusal(message_of(answer.body, answer.status))
        async with aclosing(answer.body) as stream, aclosing(pieces(_lines(stream))) as read:
            async for piece in read:
                yield piece

    async def close(self) -> None:
        self._service.close()

    def _call(self, body: bytes) -> HttpRequest:
        path = f"deployments/{self.name}/{Route.CHAT}"

        async def read(_: int) -> bytes:
            return body

        async def gone() -> bool:
            return False

        return HttpRequest("POST", f"/{path}", resolve(path), HEADERS, {}, read, gone)


async def _lines(stream: AsyncIterator[bytes]) -> AsyncGenerator[str, None]:
    """Whole lines of pieces that may end anywhere."""
    held = b""
    async for data in stream:
        *whole, held = (held + data).split(b"\n")
        for line in whole:
            yield line.decode()
    if held:
        yield held.decode()
