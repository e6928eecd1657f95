"""What has been said, and what is sent of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TextIO

from inference.cli.chat_client import AnswerPiece, ChatClient, Refusal

Message = Mapping[str, str]


@dataclass(slots=True)
class Conversation:
    """The turns so far; `options` are parameters of every request."""

    system: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    turns: list[Message] = field(default_factory=list)

    def asking(self, text: str) -> Mapping[str, Any]:
        """The body that asks for an answer to `text` after all that was said."""
        instruction = [{"role": "system", "content": self.system}] if self.system else []
        return {"messages": [*instruction, *self.turns, _user(text)], **self.options}

    def answered(self, text: str, answer: str) -> None:
        """Keeps a question and its answer; one without an answer is forgotten."""
        if answer:
            self.turns += [_user(text), {"role": "assistant", "content": answer}]

    def reset(self) -> None:
        """Forgets the turns; the system message stays."""
        self.turns.clear()


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


HELP = """\
/help           this
/reset          forget what was said
/system TEXT    instruct the model anew and forget what was said; without TEXT no instruction
/quit           end, as Ctrl-D does
Ctrl-C stops an answer."""
PROMPT = "> "


class Session:
    """One conversation with one speaker."""

    def __init__(
        self,
        speaker: ChatClient,
        conversation: Conversation,
        *,
        out: TextIO | None = None,
        read: Callable[[str], str] = input,
        prompt: str = PROMPT,
    ) -> None:
        self._speaker = speaker
        self._conversation = conversation
        self._out = out or sys.stdout
        self._read = read
        self._prompt = prompt
        self._said: list[str] = []
        self._refused = False

    def run(self) -> int:
        """Until /quit or the end of the input; 1 where the last answer was refused, for scripts."""
        with asyncio.Runner() as runner:
            try:
                while (line := self._line()) is not None and line != "/quit":
                    if line.startswith("/"):
                        self._obey(line)
                    elif line:
                        self._turn(runner, line)
            finally:
                runner.run(self._speaker.close())
        return 1 if self._refused else 0

    def _line(self) -> str | None:
        try:
            return self._read(self._prompt).strip()
        except EOFError:
            return None
        except KeyboardInterrupt:
            self._print("\n/quit or Ctrl-D ends.")
            return ""

    def _obey(self, line: str) -> None:
        word, _, text = line.partition(" ")
        match word:
            case "/help":
                self._print(HELP)
            case "/reset":
                self._conversation.reset()
                self._print("Forgotten.")
            case "/system":
                self._conversation.system = text.strip()
                self._conversation.reset()
                self._print("Instructed." if text.strip() else "No instruction.")
            case _:
                self._print(f"There is no {word}.\n{HELP}")

    def _turn(self, runner: asyncio.Runner, text: str) -> None:
        self._said, self._refused = [], False
        try:
            last = runner.run(self._answer(self._conversation.asking(text)))
            self._print(f"\n{_summary(last)}")
        except KeyboardInterrupt:
            self._print("\n(stopped)")
        except Refusal as refusal:
            self._refused = True
            self._print(f"\nRefused: {refusal}")
        self._conversation.answered(text, "".join(self._said))

    async def _answer(self, body: Mapping[str, Any]) -> AnswerPiece:
        """Prints the answer; gives its finish reason and usage."""
        reason, usage = None, None
        async with aclosing(self._speaker.answer(body)) as answer:
            async for piece in answer:
                self._said.append(piece.text)
                print(piece.text, end="", file=self._out, flush=True)
                reason, usage = piece.finish_reason or reason, piece.usage or usage
        return AnswerPiece("", reason, usage)

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def _summary(last: AnswerPiece) -> str:
    usage = last.usage or {}
    counts = [
        f"{usage[field]} {word}"
        for field, word in (("prompt_tokens", "tokens in"), ("completion_tokens", "out"))
        if field in usage
    ]
    reason = [] if last.finish_reason in (None, "stop") else [f"ended by {last.finish_reason}"]
    return f"({', '.join([*counts, *reason]) or 'done'})"
