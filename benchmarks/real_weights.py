"""SmolLM2-135M-Instruct from its GGUF file, beside llama-server on the same file, both over HTTP.

Text goes in and comes out, so both tokenize, template and detokenize alike.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np

from benchmarks.bare_client import timed_stream
from benchmarks.measure import Spread, by_turns
from benchmarks.peers import llama_server
from benchmarks.table import Goal, Line, Report
from inference.settings import PROJECT
from inference.settings.machine import available_processors
from tests.http.servers import end, spawn, url_of
from tools.smollm2.build import gguf_file

NAME = "smollm2"
ROUNDS = 7
STARTS = 5
CONTEXT = 4096
ANSWER = 96
PATH = "/v1/completions"
TOKENS = re.compile(rb'"completion_tokens":\s*(\d+)')
WORDS = (PROJECT / "benchmarks" / "README.md").read_text(encoding="utf-8").split()
"""Words for prompts that nobody has seen: real ones, so that a token is about as long as in any text."""
KNOBS = {"INFERENCE_THREADS": "0"}

Measure = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server over HTTP, ours or the peer."""

    url: httpx.URL
    random: np.random.Generator

    def decode(self) -> float:
        """Return the tokens a second of one stream, from its first to its last."""
        body = {"prompt": self._prompt(40), "max_tokens": ANSWER, "temperature": 0, "stream": True}
        body |= {"stream_options": {"include_usage": True}}
        times, data = asyncio.run(timed_stream(self.url, PATH, body))
        # Tokens by the usage, as an event may have several; what follows the last one comes at once.
        return (int(TOKENS.findall(data)[-1]) - 1) / (times[-1] - times[0])

    def prefill(self, words: int) -> float:
        """Return the tokens a second of a prompt that was never seen."""
        body = {"prompt": self._prompt(words), "max_tokens": 1, "temperature": 0}
        with httpx.Client(base_url=self.url, trust_env=False, timeout=300) as client:
            began = time.perf_counter()
            answer = client.post(PATH, json=body).raise_for_status()
            seconds = time.perf_counter() - began
        return float(answer.json()["usage"]["prompt_tokens"]) / seconds

    def first_token(self) -> None:
        """Return with the first event that carries text."""
        body = {"messages": [{"role": "user", "content": "Hello!"}], "stream": True, "max_tokens": 4}
        with (
            httpx.Client(base_url=self.url, trust_env=False, timeout=120) as client,
            client.stream("POST", "/v1/chat/completions", json=body) as response,
        ):
            lines = (line for line in response.raise_for_status().iter_lines() if line)
            next(lines), next(lines)  # the first has the role

    def _prompt(self, words: int) -> str:
        return " ".join(WORDS[int(place)] for place in self.random.integers(0, len(WORDS), words))


def run() -> Report:
    # On one file system with the deployments, so that large files are linked.
    with TemporaryDirectory(dir=PROJECT) as temporary, gguf_file() as file:
        root = Path(temporary)
        seconds = [_converted(file, root / "models") for _ in range(3)]
        starts = by_turns(
            {"ours": lambda: _our_start(root), "llama": lambda: _their_start(file)}, rounds=STARTS
        )
        with ExitStack() as stack:
            ours, theirs = _our_server(root, stack), _their_server(file, stack)
            rates = by_turns({**_subjects("ours", ours[0]), **_subjects("llama", theirs[0])}, rounds=ROUNDS)
            resident = {"ours": _resident(ours[1]), "llama": _resident(theirs[1])}
    return Report(list(_lines(seconds, starts, rates, resident)), [NOTE])


def _subjects(name: str, endpoint: Endpoint) -> Mapping[str, Measure]:
    return {
        f"decode {name}": endpoint.decode,
        f"prefill short {name}": lambda: endpoint.prefill(100),
        f"prefill long {name}": lambda: endpoint.prefill(400),
    }


def _lines(
    seconds: Sequence[float],
    starts: Mapping[str, Sequence[float]],
    rates: Mapping[str, Sequence[float]],
    resident: Mapping[str, float],
) -> Iterator[Line]:
    yield Line("models add of the file, opened once", Spread.of(seconds), " s", goal=Goal(8, " s"))
    goals = {"decode": 1.0, "prefill short": 1.5, "prefill long": 1.5}
    for what, least in goals.items():
        ours, theirs = rates[f"{what} ours"], rates[f"{what} llama"]
        yield Line(
            f"{what}, to llama-server",
            Spread.of(ours),
            " tokens/s",
            ratio=Spread.ratio(ours, to=theirs),
            goal=Goal(least, least=True),
        )
    memory = Spread.of([resident["ours"]] * 2), Spread.of([resident["ours"] / resident["llama"]] * 2)
    yield Line("resident memory then", memory[0], " MB", 1e-6, memory[1], Goal(1.25))
    ratio = Spread.ratio(starts["ours"], to=starts["llama"])
    yield Line("process start to first token", Spread.of(starts["ours"]), " s", 1, ratio, Goal(1.3))


def _converted(file: Path, into: Path) -> float:
    """Return the seconds of a process of `models add`."""
    shutil.rmtree(into, ignore_errors=True)
    command = [sys.executable, "-m", "inference", "models", "add", str(file), "--name", NAME]
    environment = {**os.environ, "INFERENCE_MODELS": str(into)}
    began = time.perf_counter()
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _settings(root: Path) -> dict[str, str]:
    return {"INFERENCE_MODELS": str(root / "models"), **KNOBS}


def _our_start(root: Path) -> float:
    began = time.perf_counter()
    process = spawn(_settings(root), root / "server.log", "--port=0")
    try:
        Endpoint(httpx.URL(url_of(process, root / "server.log")), np.random.default_rng(0)).first_token()
        return time.perf_counter() - began
    finally:
        process.terminate()
        end(process)


def _their_start(file: Path) -> float:
    began = time.perf_counter()
    with llama_server.running(file, available_processors(), CONTEXT) as server:
        Endpoint(server.url, np.random.default_rng(0)).first_token()
        return time.perf_counter() - began


def _our_server(root: Path, stack: ExitStack) -> tuple[Endpoint, int]:
    process = spawn(_settings(root), root / "server.log", "--port=0")
    stack.callback(end, process)
    stack.callback(process.terminate)
    url = httpx.URL(url_of(process, root / "server.log"))
    return Endpoint(url, np.random.default_rng(1)), process.pid


def _their_server(file: Path, stack: ExitStack) -> tuple[Endpoint, int]:
    server = stack.enter_context(llama_server.running(file, available_processors(), CONTEXT))
    return Endpoint(server.url, np.random.default_rng(1)), server.process.pid


def _resident(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


NOTE = (
    "Both serve the same GGUF file with two threads and prompts of the same words that neither has seen. "
    "Resident memory is after all of it, the pages of mapped files included."
)
