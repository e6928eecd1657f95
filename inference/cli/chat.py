"""`python -m inference chat [NAME or URL]`: a conversation in the terminal."""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING

from inference.cli.parser import Commands, command
from inference.settings import Settings

if TYPE_CHECKING:
    from inference.cli.chat_client import ChatClient

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
    from inference.cli.chunks import Refusal
    from inference.cli.conversation import Conversation
    from inference.cli.terminal_chat import PROMPT, Session

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
    from inference.cli.in_process import InProcessChatClient

    local = InProcessChatClient(options.name or options.model, settings)
    return local, local.name
