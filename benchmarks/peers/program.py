"""A peer's program, kept running and asked over its pipes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers.environment import BUILD, interpreter

HERE = Path(__file__).parent
PACKAGES = (
    ["torch==2.13.0"],
    ["transformers==5.23.0", "onnxruntime-genai==0.18.0", "onnxruntime==1.32.0", "onnx_ir", "onnx", "gguf"],
    ["llama-cpp-python==0.3.36"],
)
"""llama.cpp is compiled for this machine, which takes minutes."""


class Program:
    """A question at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, do: str, **arguments: Any) -> Any:
        """What a method of the peer gave."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the peer ended with {self._process.wait()}")
        return json.loads(answer)


@contextmanager
def peer(name: str, *arguments: str) -> Iterator[Program]:
    """A running program of this folder."""
    python = interpreter("peers", *PACKAGES)
    command: list[str | Path] = [python, HERE / f"{name}.py", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Program(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def model(shape: str) -> Path:
    """The folder with a shape's model in all forms; made once."""
    folder = BUILD / "models" / shape
    if not (folder / "model.gguf").exists():
        python = interpreter("peers", *PACKAGES)
        subprocess.run([python, HERE / "models.py", shape, folder], check=True)
    return folder
