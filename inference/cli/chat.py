"""`python -m inference chat`: a conversation with a model in the terminal."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TextIO

from inference.cli.chat_client import AnswerPiece, Body, ChatClient, Refusal
from inference.settings import Settings

Message = Mapping[str, str]

PROMPT = "> "
HELP = """\
/help           list the commands
/reset          clear the conversation
/system TEXT    set the system message and clear the conversation; without TEXT remove it
/quit           end, as Ctrl-D does
Ctrl-C stops an answer."""


@dataclass(slots=True)
class Conversation:
    """The messages so far."""

    system: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of every request."""
    messages: list[Message] = field(default_factory=list)
    """Messages of the user and the assistant, in turn."""

    def request(self, text: str) -> Body:
        """Return the body of a request for the answer to a message."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return {"messages": [*system, *self.messages, _user(text)], **self.parameters}

    def add(self, text: str, answer: str) -> None:
        """Add a message and its answer; a message without an answer is dropped."""
        if answer:
            self.messages += [_user(text), {"role": "assistant", "content": answer}]

    def clear(self) -> None:
        """Remove the messages; the system message stays."""
        self.messages.clear()


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


class TerminalChat:
    """A loop that reads lines and prints the answers of one client."""

    def __init__(
        self,
        client: ChatClient,
        conversation: Conversation,
        *,
        out: TextIO | None = None,
        read: Callable[[str], str] = input,
        prompt: str = PROMPT,
    ) -> None:
        self._client = client
        self._conversation = conversation
        self._out = out or sys.stdout
        self._read = read
        self._prompt = prompt
        self._answer: list[str] = []
        self._refused = False

    def run(self) -> int:
        """Run until /quit or the end of the input; return 1 if the last message was refused, else 0."""
        with asyncio.Runner() as runner:
            try:
                while (line := self._read_line()) is not None and line != "/quit":
                    if line.startswith("/"):
                        self._run_command(line)
                    elif line:
                        self._run_turn(runner, line)
            finally:
                runner.run(self._client.close())
        return 1 if self._refused else 0

    def _read_line(self) -> str | None:
        """Return the next line; None at the end of the input."""
        try:
            return self._read(self._prompt).strip()
        except EOFError:
            return None
        except KeyboardInterrupt:
            self._print("\n/quit or Ctrl-D ends.")
            return ""

    def _run_command(self, line: str) -> None:
        command, _, text = line.partition(" ")
        match command:
            case "/help":
                self._print(HELP)
            case "/reset":
                self._conversation.clear()
                self._print("The conversation is cleared.")
            case "/system":
                self._conversation.system = text.strip()
                self._conversation.clear()
                self._print(f"The system message is {'set' if text.strip() else 'removed'}.")
            case _:
                self._print(f"There is no command {command}.\n{HELP}")

    def _run_turn(self, runner: asyncio.Runner, text: str) -> None:
        """Print the answer to a message; one that is stopped or breaks off stays in the conversation."""
        self._answer, self._refused = [], False
        try:
            end = runner.run(self._print_answer(self._conversation.request(text)))
            self._print(f"\n{_summary(end)}")
        except KeyboardInterrupt:
            self._print("\n(stopped)")
        except Refusal as refusal:
            self._refused = True
            self._print(f"\nRefused: {refusal}")
        self._conversation.add(text, "".join(self._answer))

    async def _print_answer(self, body: Body) -> AnswerPiece:
        """Print an answer as it comes; return its finish reason and usage."""
        finish_reason, usage = None, None
        async with aclosing(self._client.answer(body)) as pieces:
            async for piece in pieces:
                self._answer.append(piece.text)
                print(piece.text, end="", file=self._out, flush=True)
                finish_reason, usage = piece.finish_reason or finish_reason, piece.usage or usage
        return AnswerPiece("", finish_reason, usage)

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def _summary(end: AnswerPiece) -> str:
    """Return the usage of an answer, and its finish reason unless that is `stop`."""
    usage = end.usage or {}
    counts = [
        f"{usage[field]} {unit}"
        for field, unit in (("prompt_tokens", "tokens in"), ("completion_tokens", "out"))
        if field in usage
    ]
    reason = [] if end.finish_reason in (None, "stop") else [f"ended by {end.finish_reason}"]
    return f"({', '.join([*counts, *reason]) or 'done'})"


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
