"""The modules that run for one streamed chat: named, and no more than a reader can follow."""

from __future__ import annotations

import subprocess
import sys

import pytest

from inference.settings import PROJECT

MOST = 45
"""Lower it with every module that a chat needs no more."""


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """The command's output, from a process of its own: profiling follows threads from their start."""
    command = [sys.executable, "-m", "tools.modules_run"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_streamed_chat_runs_few_modules(lines: list[str]) -> None:
    assert len(lines) - 1 <= MOST
    assert lines[-1] == f"{len(lines) - 1} modules"


def test_the_list_names_modules_from_the_host_to_the_engine(lines: list[str]) -> None:
    assert {"inference.hosts.functions", "inference.service", "inference.engine.engine"} <= set(lines)
    assert "inference.registry.memory_estimate" not in lines, "the model is open already"
