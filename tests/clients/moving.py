"""Runs the snippets of docs/moving.md, each in the environment of its client, against a running endpoint.

    python -m tests.clients.moving [NAME...]

The names are those of clients. It ends with 1 if a snippet failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from inference.settings import PROJECT
from tests.clients.clients import Client, clients
from tests.clients.environments import prepare
from tests.clients.run import QUIET, RUN_SECONDS
from tests.clients.snippets import MODEL, Snippet, snippets
from tests.http.servers import running


def failure(snippet: Snippet, client: Client, url: str) -> str:
    """Return why a snippet failed; empty if it ran, said something and what its comments promise."""
    try:
        prepare(client)
        ran = subprocess.run(
            [*_command(snippet, client, url)],
            env={**os.environ, **QUIET},
            timeout=RUN_SECONDS,
            capture_output=True,
            text=True,
        )
    except (subprocess.SubprocessError, FileNotFoundError) as error:
        return str(error)
    missing = [line for line in snippet.said if line not in ran.stdout]
    if ran.returncode or missing or not ran.stdout.strip():
        return f"status {ran.returncode}, missing {missing}\n{ran.stdout}\n{ran.stderr}"
    return ""


def _command(snippet: Snippet, client: Client, url: str) -> Sequence[str]:
    code = snippet.at(url)
    if snippet.language == "python":
        return (str(client.environment / "bin" / "python"), "-c", code)
    # Node looks for packages beside the script.
    script = client.environment / "moving.mjs"
    script.write_text(code, encoding="utf-8")
    return ("node", str(script))


def main(names: Sequence[str]) -> int:
    """Run the snippets of some clients, of all by default, and return the exit code."""
    known, failed = clients(), 0
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / MODEL).symlink_to(PROJECT / "models" / MODEL)
        log = Path(folder) / "server.log"
        with running(folder, log, INFERENCE_RESPONSES="memory") as server:
            for snippet in snippets():
                if not snippet.client or (names and snippet.client not in names):
                    continue
                reason = failure(snippet, known[snippet.client], server.url)
                failed += bool(reason)
                print(f"{snippet.name} ({snippet.client}): {reason or 'ran'}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
