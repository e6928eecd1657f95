"""`python -m inference chat`: a conversation with a model in the terminal."""

from __future__ import annotations

import argparse
import contextlib
import sys

from inference.cli.chat_client import ChatClient, Refusal
from inference.cli.terminal_chat import PROMPT, Conversation, TerminalChat
from inference.settings import Settings

EPILOG = """\
Without a terminal, lines are read from standard input, one message each:
  echo 'Hello!' | python -m inference chat starter-chat
  python -m inference chat https://NAME.azurewebsites.net --key K --model starter-chat

Exit code: 0, or 1 if the last message was refused."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument(
        "name", nargs="?", help="a deployment of this machine, or the URL of an endpoint (any base path)"
    )
    parser.add_argument("--model", help="the deployment, if a URL has several")
    parser.add_argument("--key", default="", help="an API key (default: the first of INFERENCE_API_KEYS)")
    parser.add_argument("--system", default="", help="the system message")
    parser.add_argument("--max-tokens", type=int, help="the most tokens of an answer")
    parser.add_argument("--temperature", type=float, help="0 for the most likely answer")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    values = {"max_tokens": options.max_tokens, "temperature": options.temperature}
    parameters = {name: value for name, value in values.items() if value is not None}
    conversation = Conversation(options.system, parameters)
    interactive = sys.stdin.isatty()
    try:
        client, name = _client(options)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1
    if interactive:
        with contextlib.suppress(ModuleNotFoundError):  # Windows has no readline
            import readline  # noqa: F401  arrow keys and history in input()

        print(f"{name}. /help lists the commands, Ctrl-C stops an answer, /quit ends.")
    return TerminalChat(client, conversation, prompt=PROMPT if interactive else "").run()


def _client(options: argparse.Namespace) -> tuple[ChatClient, str]:
    """Return the client of a URL or of a deployment, and a name to show. Raises `Refusal`."""
    settings = Settings.from_environment()
    if options.name and options.name.startswith(("http://", "https://")):
        from inference.cli.http_chat_client import HttpChatClient

        key = options.key or next(iter(settings.api_keys), "")
        return HttpChatClient(options.name, key=key, model=options.model), options.model or options.name

    from inference.cli.in_process_chat_client import InProcessChatClient

    client = InProcessChatClient(options.name or options.model, settings)
    return client, client.name
