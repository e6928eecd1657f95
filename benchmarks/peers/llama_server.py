"""llama-server, compiled for this machine from the sources that `engine.txt` pins, and run on a GGUF file."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.peers import ENVIRONMENTS, HERE

FOLDER = ENVIRONMENTS / "llama.cpp"
PIN = re.compile(r"^llama-cpp-python==\S+", re.MULTILINE)
CONFIGURE = ("-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DLLAMA_CURL=OFF", "-DLLAMA_BUILD_TESTS=OFF")
LOOK_SECONDS = 0.005
"""Pause between two looks at a server that is not up yet."""


@dataclass(frozen=True, slots=True)
class LlamaServer:
    """A running llama-server."""

    url: httpx.URL
    process: subprocess.Popen[bytes]


def program() -> Path:
    """Return the program, which is compiled the first time: some ten minutes, and cmake is needed."""
    pin = _pin()
    folder = FOLDER / pin.rpartition("=")[2]
    found = folder / "bin" / "llama-server"
    if not found.is_file():
        with TemporaryDirectory(dir=_made(ENVIRONMENTS)) as temporary:
            _compile(_sources(pin, Path(temporary)), folder)
    return found


@contextmanager
def running(file: Path, threads: int, context: int) -> Iterator[LlamaServer]:
    """Yield a server on a file for the length of a block, as soon as it takes requests."""
    port = _free_port()
    options = ["-m", str(file), "--port", str(port), "-t", str(threads), "-c", str(context), "-np", "1"]
    command = [str(program()), "--host", "127.0.0.1", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            server = LlamaServer(httpx.URL(f"http://127.0.0.1:{port}"), process)
            _wait(server)
            yield server
        finally:
            process.terminate()


def _wait(server: LlamaServer) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        while server.process.poll() is None:
            try:
                if client.get("/health").status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(LOOK_SECONDS)
    raise RuntimeError(f"llama-server ended with {server.process.returncode} before it served")


def _pin() -> str:
    found = PIN.search((HERE / "engine.txt").read_text(encoding="utf-8"))
    assert found is not None, "engine.txt does not pin llama-cpp-python"
    return found[0]


def _sources(pin: str, folder: Path) -> Path:
    """Download the pinned package's sources, which hold those of llama.cpp; return the latter's folder."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:"]
    subprocess.run([*pip, f"--dest={folder}", pin], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return next(folder.glob("*/vendor/llama.cpp"))


def _compile(sources: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    make: Sequence[Sequence[str]] = (
        ("cmake", "-S", str(sources), "-B", str(folder), *CONFIGURE),
        ("cmake", "--build", str(folder), "--parallel", "--target", "llama-server"),
    )
    for command in make:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
