"""Server processes for the tests: `python -m inference serve` on a free port, and a client beside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from inference.settings import PROJECT

MESSAGES: Sequence[Mapping[str, Any]] = ({"role": "user", "content": "Say something."},)
URL = re.compile(r"\s+(http://\S+)\n")
GREETING_ENDS = "Ctrl-C stops."
PATIENCE = 60
"""Seconds until a server that says nothing is given up; no test waits so long otherwise."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running endpoint."""

    url: str
    http: httpx.Client
    process: subprocess.Popen[str]
    log: Path

    def post(
        self, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, content: Any = None
    ) -> httpx.Response:
        """POSTs JSON, or bytes as they are under the type of JSON."""
        if content is None:
            return self.http.post(path, json=body, headers=dict(headers or {}))
        return self.http.post(
            path, content=content, headers={"Content-Type": "application/json", **(headers or {})}
        )

    def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.http.get(path, headers=dict(headers or {}))

    def chat(self, deployment: str, *, extra: str | None = None, **body: Any) -> httpx.Response:
        """A conversation with one deployment; `extra` is the header `extra-parameters`."""
        headers = {} if extra is None else {"extra-parameters": extra}
        path = f"/deployments/{deployment}/chat/completions"
        return self.post(path, {"messages": MESSAGES, **body}, headers=headers)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's own environment without what would configure an endpoint, and the given settings."""
    foreign = ("INFERENCE_", "AZURE_FUNCTIONS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, **settings}


def spawn(settings: Mapping[str, str], log: Path, *options: str) -> subprocess.Popen[str]:
    """A server process; what it writes on stderr goes to `log`."""
    with log.open("w") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "inference", "serve", *options],
            cwd=PROJECT,
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def url_of(process: subprocess.Popen[str], log: Path) -> str:
    """The URL in the greeting, which is read to its end; from then on connections are taken."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if GREETING_ENDS in line:
            found = URL.search("".join(lines))
            assert found is not None, lines
            return found[1]
    raise AssertionError(f"the server ended before it served: {log.read_text()}")


OWN = {"INFERENCE_THREADS": "1", "INFERENCE_RESPONSES": "memory"}
"""What is set of every server: no test leaves responses on the disk."""


@contextmanager
def running(models: Path | str, log: Path, **settings: str) -> Iterator[Server]:
    """A server over a folder of deployments, or a container's address, for the length of a block."""
    process = spawn({**OWN, "INFERENCE_MODELS": str(models), **settings}, log, "--port=0")
    try:
        url = url_of(process, log)
        with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as client:
            yield Server(url, client, process, log)
    finally:
        process.terminate()
        end(process)


def end(process: subprocess.Popen[str]) -> int:
    """Waits for a process that was told to stop, gives its exit code, and closes what it wrote to."""
    try:
        return process.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()
