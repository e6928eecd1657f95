"""What we are measured beside, in environments of their own: NAME.txt pins one, NAME.py runs in it.

The environments lie under build/benchmarks and are made anew when their pins change. A peer is a process that
answers every line on its standard input with a line, both JSON: it says `ready` first.
"""

from __future__ import annotations

import json
import subprocess
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inference.settings import PROJECT

HERE = Path(__file__).parent
ENVIRONMENTS = PROJECT / "build" / "benchmarks"
INSTALL_SECONDS = 1200
READY = "ready"


class Peer:
    """A running peer."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        if (said := self._line()) != READY:
            raise RuntimeError(f"a peer said {said!r} instead of {READY!r}")

    def ask(self, what: Any) -> Any:
        """Return the peer's answer: of most peers the seconds it took."""
        assert self._process.stdin is not None
        print(json.dumps(what), file=self._process.stdin, flush=True)
        return json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def running(name: str, *arguments: str, pins: str = "") -> Iterator[Peer]:
    """Yield a peer's process for the length of a block; first make its environment, or that of `pins`."""
    command = [str(environment(pins or name)), "-W", "ignore", str(HERE / f"{name}.py"), *arguments]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, **pipes) as process:
        try:
            yield Peer(process)
        finally:
            process.terminate()


def environment(name: str) -> Path:
    """Return the Python of a peer's environment, which has its pins. Takes minutes the first time."""
    folder, pins = ENVIRONMENTS / f"venv-{name}", HERE / f"{name}.txt"
    python, stamp = folder / "bin" / "python", folder / "made-from.txt"
    if not stamp.is_file() or stamp.read_text() != pins.read_text():
        venv.create(folder, with_pip=True, clear=True)
        _install(python, ["--requirement", str(pins)])
        stamp.write_text(pins.read_text())
    return python


def _install(python: Path, what: Sequence[str]) -> None:
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    subprocess.run([*pip, *what], check=True, timeout=INSTALL_SECONDS)
