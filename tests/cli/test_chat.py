"""`python -m inference chat` as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from inference.settings import PROJECT
from tests.http.scripts import write_script
from tests.http.servers import PATIENCE, environment
from tests.http.zoo import GREETING, HELLO, LONG, ROUND
from tests.support import interrupts


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


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [([], "set `model` to one of endless, greeter"), (["none"], "Unknown model: none")],
)
def test_an_ambiguous_or_unknown_model_is_refused(models: Path, arguments: list[str], reason: str) -> None:
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
