"""A deployment of this machine, asked in this process through the whole journey of a request."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from inference.api.http_types import HttpRequest
from inference.api.paths import resolve
from inference.auth.authority import Authority
from inference.cli.chat_client import AnswerPiece, Body, Refusal, message_of, pieces
from inference.cli.parser import Commands, command
from inference.contracts import Route
from inference.errors import ApiError
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.cli.chat_client import ChatClient

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


MORE = """\
Without a terminal, lines are read from standard input, one message each:
  echo 'Hello!' | python -m inference chat starter-chat
  python -m inference chat https://NAME.azurewebsites.net --key K --model starter-chat

Exit code: 0, or 1 when the last answer was refused."""


def add(commands: Commands) -> None:
    chat = command(commands, "chat", meaning="talk with a model in the terminal", more=MORE)
    chat.add_argument(
        "name", nargs="?", help="a deployment of this machine, or the URL of an endpoint (any base path)"
    )
    chat.add_argument("--model", help="the deployment, where a URL serves several")
    chat.add_argument("--key", default="", help="an API key (default: what INFERENCE_API_KEYS has first)")
    chat.add_argument("--system", default="", help="an instruction before the conversation")
    chat.add_argument("--max-tokens", type=int, help="the most tokens of an answer")
    chat.add_argument("--temperature", type=float, help="0 for the most likely answer")
    chat.set_defaults(run=_chat)


def _chat(options: argparse.Namespace) -> int:
    from inference.cli.terminal_chat import PROMPT, Conversation, Session

    asked = {"max_tokens": options.max_tokens, "temperature": options.temperature}
    parameters = {name: value for name, value in asked.items() if value is not None}
    conversation = Conversation(options.system, parameters)
    interactive = sys.stdin.isatty()
    try:
        speaker, who = _speaker(options)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1
    if interactive:
        with contextlib.suppress(ModuleNotFoundError):  # Windows has none
            import readline  # noqa: F401  arrow keys and history in input()

        print(f"{who}. /help lists the commands, Ctrl-C stops an answer, /quit ends.")
    return Session(speaker, conversation, prompt=PROMPT if interactive else "").run()


def _speaker(options: argparse.Namespace) -> tuple[ChatClient, str]:
    """Who answers, and how they are called. Raises `client.chunks.Refusal`."""
    settings = Settings.from_environment()
    if options.name and options.name.startswith(("http://", "https://")):
        from inference.cli.chat_client import HttpChatClient

        key = options.key or next(iter(settings.api_keys), "")
        return HttpChatClient(options.name, key=key, model=options.model), options.model or options.name

    local = InProcessChatClient(options.name or options.model, settings)
    return local, local.name
