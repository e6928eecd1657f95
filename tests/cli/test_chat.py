"""`python -m inference chat`: a conversation with a model here or elsewhere, driven line by line."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest

from inference.cli.chat_client import AnswerPiece, HttpChatClient, Refusal, message_of, pieces
from inference.cli.terminal_chat import Conversation, Session
from inference.settings import PROJECT
from tests.conftest import KEYS
from tests.http.scripts import write_script
from tests.http.servers import PATIENCE, Server, environment
from tests.http.zoo import GREETING, HELLO, LONG, ROUND
from tests.support import interrupts

STOP = 1
"""The token that ends an answer counts."""


class Parrot:
    """Says what it was asked last, and keeps what it was sent."""

    def __init__(self) -> None:
        self.bodies: list[Mapping[str, Any]] = []
        self.closed = False

    async def answer(self, body: Mapping[str, Any]) -> AsyncGenerator[AnswerPiece, None]:
        self.bodies.append(body)
        text = body["messages"][-1]["content"]
        if text == "refuse":
            raise Refusal("not that")
        yield AnswerPiece("You said: ")
        if text == "break":
            raise KeyboardInterrupt
        yield AnswerPiece(text, "stop", {"prompt_tokens": 3, "completion_tokens": 2})

    async def close(self) -> None:
        self.closed = True


def talk(*lines: str, **options: Any) -> tuple[int, str, Parrot]:
    out, parrot, given = io.StringIO(), Parrot(), iter(lines)

    def read(_: str) -> str:
        line = next(given, None)
        if line is None:
            raise EOFError
        return line

    code = Session(parrot, Conversation(**options), out=out, read=read).run()
    return code, out.getvalue(), parrot


def contents(parrot: Parrot) -> list[list[str]]:
    return [[message["content"] for message in body["messages"]] for body in parrot.bodies]


def test_what_was_said_is_sent_again() -> None:
    code, out, parrot = talk("one", "", "two", "/quit", "never")
    assert contents(parrot) == [["one"], ["one", "You said: one", "two"]]
    assert "You said: two\n(3 tokens in, 2 out)\n" in out
    assert (code, parrot.closed) == (0, True)


def test_commands_change_what_is_sent() -> None:
    _, out, parrot = talk("one", "/reset", "two", "/system Be kind.", "three", "/help", "/what")
    assert contents(parrot) == [["one"], ["two"], ["Be kind.", "three"]]
    assert "There is no /what." in out


def test_a_refused_question_is_forgotten_and_the_exit_code_says_it() -> None:
    code, out, parrot = talk("refuse")
    assert (code, "Refused: not that" in out) == (1, True)
    code, _, parrot = talk("refuse", "one", options={"max_tokens": 5})
    assert (code, contents(parrot)[-1], parrot.bodies[-1]["max_tokens"]) == (0, ["one"], 5)


def test_an_answer_that_is_stopped_is_kept_as_far_as_it_came() -> None:
    code, out, parrot = talk("break", "one")
    assert "(stopped)" in out
    assert contents(parrot)[-1] == ["break", "You said: ", "one"]
    assert code == 0


async def lines(*texts: str) -> AsyncGenerator[str, None]:
    for text in texts:
        yield text


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["data: {}"], "cut before"),
        (['data: {"error": {"message": "model failed"}}', "data: [DONE]"], "model failed"),
        (["data: []"], "no JSON object"),
        (["data: {"], "no JSON object"),
    ],
)
async def test_a_stream_that_goes_wrong_is_a_refusal(texts: list[str], reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        async for _ in pieces(lines(*texts)):
            pass


def test_errors_of_others_are_shown_by_their_begin() -> None:
    assert message_of(b'{"error": {"message": "no"}}', 400) == "no"
    assert message_of(b"<html>", 502) == "502: <html>"


@pytest.mark.parametrize("base", ["", "/", "/openai/v1", "/deployments/greeter", "/chat/completions"])
async def test_every_base_path_answers(endpoint: Server, base: str) -> None:
    remote = HttpChatClient(endpoint.url + base, model="greeter")
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    found = [piece async for piece in remote.answer(body)]
    await remote.close()
    assert "".join(piece.text for piece in found) == GREETING
    assert [piece.usage["completion_tokens"] for piece in found if piece.usage] == [len(HELLO) + STOP]


async def test_a_key_opens_and_a_missing_one_is_told(locked: Server) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    for key, opens in ((KEYS[0], True), ("wrong", False), ("", False)):
        remote = HttpChatClient(locked.url, key=key)
        if opens:
            assert [piece async for piece in remote.answer(body)]
        else:
            with pytest.raises(Refusal):
                _ = [piece async for piece in remote.answer(body)]
        await remote.close()


async def test_nobody_there_is_a_sentence() -> None:
    remote = HttpChatClient("http://127.0.0.1:9")
    with pytest.raises(Refusal, match="cannot be reached"):
        _ = [piece async for piece in remote.answer({"messages": []})]
    await remote.close()
    with pytest.raises(Refusal, match="no address"):
        HttpChatClient("greeter")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_script(tmp_path, HELLO, name="greeter")
    write_script(tmp_path, ROUND, name="endless", context=LONG, loops=True)
    return tmp_path


def start(models: Path, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "inference", "chat", *arguments],
        cwd=PROJECT,
        env=environment({"INFERENCE_MODELS": str(models), **settings}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interrupts.listen,
    )


def test_a_local_model_answers_lines_from_a_pipe(models: Path) -> None:
    out, errors = start(models, "greeter").communicate("Hi\n", timeout=PATIENCE)
    assert (out.splitlines()[0], errors) == (GREETING, "")


def test_a_model_that_is_not_clear_or_not_there_is_a_sentence(models: Path) -> None:
    for arguments, reason in (
        ((), "set `model` to one of endless, greeter"),
        (("none",), "Unknown model: none"),
    ):
        process = start(models, *arguments)
        _, errors = process.communicate("Hi\n", timeout=PATIENCE)
        assert (process.returncode, reason in errors) == (1, True)


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_stops_the_answer_and_not_the_program(models: Path) -> None:
    process = start(models, "endless", INFERENCE_MAX_TOKENS=str(LONG))
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("Go\n")
    process.stdin.flush()
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate("/help\n/quit\n", timeout=PATIENCE)
    assert "(stopped)" in out
    assert "/reset" in out.partition("(stopped)")[2]
    assert (process.returncode, errors) == (0, "")
