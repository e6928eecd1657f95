"""Conversations in the terminal, line by line."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from inference.cli.chat import Conversation, TerminalChat
from inference.cli.chat_client import AnswerPiece, Refusal


class EchoClient:
    """A client whose answers repeat the last message; it records the bodies of requests."""

    def __init__(self) -> None:
        self.bodies: list[Mapping[str, Any]] = []
        self.closed = False

    async def answer(self, body: Mapping[str, Any]) -> AsyncGenerator[AnswerPiece, None]:
        self.bodies.append(body)
        text = body["messages"][-1]["content"]
        if text == "refuse":
            raise Refusal("not that")
        yield AnswerPiece("Echo: ")
        if text == "interrupt":
            raise KeyboardInterrupt
        yield AnswerPiece(text, "stop", {"prompt_tokens": 3, "completion_tokens": 2})

    async def close(self) -> None:
        self.closed = True


def chat(*lines: str, **conversation: Any) -> tuple[int, str, EchoClient]:
    """Run a chat over lines of input; return its exit code, its output and its client."""
    out, client, rest = io.StringIO(), EchoClient(), iter(lines)

    def read(_: str) -> str:
        line = next(rest, None)
        if line is None:
            raise EOFError
        return line

    code = TerminalChat(client, Conversation(**conversation), out=out, read=read).run()
    return code, out.getvalue(), client


def contents(client: EchoClient) -> list[list[str]]:
    return [[message["content"] for message in body["messages"]] for body in client.bodies]


def test_the_conversation_is_sent_with_every_message() -> None:
    code, out, client = chat("one", "", "two", "/quit", "never")
    assert contents(client) == [["one"], ["one", "Echo: one", "two"]]
    assert "Echo: two\n(3 tokens in, 2 out)\n" in out
    assert (code, client.closed) == (0, True)


def test_commands_change_the_messages_that_are_sent() -> None:
    _, out, client = chat("one", "/reset", "two", "/system Be kind.", "three", "/help", "/what", "/system")
    assert contents(client) == [["one"], ["two"], ["Be kind.", "three"]]
    assert "The conversation is cleared." in out
    assert "The system message is set." in out
    assert "There is no command /what." in out
    assert "The system message is removed." in out


def test_a_refused_message_is_dropped_and_the_exit_code_is_1() -> None:
    code, out, client = chat("refuse")
    assert (code, "Refused: not that" in out) == (1, True)
    code, _, client = chat("refuse", "one", parameters={"max_tokens": 5})
    assert (code, contents(client)[-1], client.bodies[-1]["max_tokens"]) == (0, ["one"], 5)


def test_an_answer_that_is_stopped_stays_in_the_conversation() -> None:
    code, out, client = chat("interrupt", "one")
    assert "(stopped)" in out
    assert contents(client)[-1] == ["interrupt", "Echo: ", "one"]
    assert code == 0
