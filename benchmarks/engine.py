"""The engine beside onnxruntime-genai on the same int4 file and llama.cpp on the same weights in Q4_0.

Random weights of the shapes of SmolLM2-135M and Qwen2.5-0.5B. Every prompt is new, so that nothing is known.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.measure import Spread, by_turns
from benchmarks.peers import ENVIRONMENTS, HERE, Peer, environment
from benchmarks.peers import running as peer
from benchmarks.streams import (
    Stream,
    http_stream,
    median_first,
    prompt,
    rate,
    several,
    steady_rate,
    stream,
    text,
)
from benchmarks.table import Goal, Line, Report
from inference.backends.decoder import opening
from inference.cards.card import load
from inference.contracts import Generator
from inference.importer.lm_head import gather_before_lm_head
from inference.settings import Settings
from inference.settings.machine import available_processors
from tests.http.servers import running
from tests.support.decoders import CARD, write_json

SHAPES = {"smollm2-135m": 0.15, "qwen2.5-0.5b": 0.4}
"""Seconds between two conversations that arrive one after the other."""
ROUNDS = 5
CHATS = 8
LENGTHS = (48, 60, 36, 52, 64, 40, 56, 44)
"""Tokens of the conversations' prompts."""
ANSWER = 48
DECODED = 96
CONTEXT = 2048
TEMPLATE = "{{ messages[0].content }}"
"""Adds no tokens, so that a chat's prompt is as long as the same in process."""
SIZES = ("hidden_size", "num_attention_heads", "head_dim", "max_position_embeddings")
"""What the deployment needs of config.json; its end token would end answers."""

Measure = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured of one shape."""

    shape: str
    runner: asyncio.Runner
    engine: Generator
    unedited: Generator
    server: str
    genai: Peer
    llama: Peer
    random: np.random.Generator

    def subjects(self) -> dict[str, Measure]:
        return {
            "decode": self._decode,
            "decode genai": lambda: DECODED / self._ask(self.genai, "decode", tokens=DECODED),
            "decode llama": lambda: DECODED / self._ask(self.llama, "decode", tokens=DECODED),
            "steady": lambda: steady_rate(self._together(DECODED)),
            "steady llama": lambda: float(
                self.llama.ask({"do": "steady", "prompts": self._prompts(), "tokens": DECODED})
            ),
            "prefill": lambda: 256 / self._first(self.engine, 256),
            "prefill unedited": lambda: 256 / self._first(self.unedited, 256),
            "prefill llama": lambda: 256 / self._ask(self.llama, "prefill", length=256),
            "in process": lambda: rate(self._together(ANSWER)),
            "over HTTP": lambda: rate(self._over_http(0.0)),
        }

    def chats(self) -> dict[str, Callable[[], tuple[float, float]]]:
        """Return tokens a second, and the median seconds to a first token."""
        every = SHAPES[self.shape]
        return {
            "chats": lambda: _both(self._over_http(every)),
            "chats genai": lambda: self._peer_chats(self.genai, every),
            "chats llama": lambda: self._peer_chats(self.llama, every),
        }

    def prefix(self) -> tuple[float, float]:
        """Return the seconds to the first token of a long prompt, and of another with the same prefix."""
        system = prompt(self.random, 1000)
        first = self.runner.run(stream(self.engine, (*system, *prompt(self.random, 20)), 2)).first
        return first, self.runner.run(stream(self.engine, (*system, *prompt(self.random, 20)), 2)).first

    def gap(self) -> tuple[float, float]:
        """Return the longest gap of a stream while other prompts run, and the time of a chunk and a step."""
        known = prompt(self.random, 256)
        self.runner.run(stream(self.engine, known, 1))
        chunk = self.runner.run(stream(self.engine, (*known, *prompt(self.random, 64)), 1)).first
        four = [stream(self.engine, prompt(self.random, 48), 40) for _ in range(4)]
        step = float(np.median(np.diff(self.runner.run(several(four))[0].tokens[-20:])))
        others = [stream(self.engine, prompt(self.random, 300), 2) for _ in range(3)]
        streams = [stream(self.engine, prompt(self.random, 48), 60), *others]
        return self.runner.run(several(streams, every=chunk))[0].longest_gap, chunk + step

    def _decode(self) -> float:
        tokens = self.runner.run(stream(self.engine, prompt(self.random, 64), DECODED + 1)).tokens
        return DECODED / (tokens[-1] - tokens[0])

    def _first(self, generator: Generator, length: int) -> float:
        return self.runner.run(stream(generator, prompt(self.random, length), 1)).first

    def _together(self, count: int) -> list[Stream]:
        prompts = [prompt(self.random, length) for length in LENGTHS]
        return self.runner.run(several([stream(self.engine, tokens, count) for tokens in prompts]))

    def _over_http(self, every: float) -> list[Stream]:
        questions = [text(self.random, length) for length in LENGTHS]
        return self.runner.run(several([http_stream(self.server, one, ANSWER) for one in questions], every))

    def _prompts(self) -> list[list[int]]:
        return [list(prompt(self.random, length)) for length in LENGTHS]

    def _ask(self, program: Peer, do: str, *, length: int = 64, **more: int) -> float:
        return float(program.ask({"do": do, "prompt": list(prompt(self.random, length)), **more}))

    def _peer_chats(self, program: Peer, every: float) -> tuple[float, float]:
        told = program.ask({"do": "chats", "prompts": self._prompts(), "every": every, "tokens": ANSWER})
        return CHATS * ANSWER / told["seconds"], statistics.median(told["firsts"])


def run() -> Report:
    lines: list[Line] = []
    for shape in SHAPES:
        # On one file system with the models: onnxruntime reads no weights through symbolic links.
        with TemporaryDirectory(dir=ENVIRONMENTS) as temporary, ExitStack() as stack:
            bench = _bench(shape, Path(temporary), stack)
            lines += _speeds(shape, by_turns(bench.subjects(), rounds=ROUNDS))
            lines += _chats(shape, by_turns(bench.chats(), rounds=ROUNDS))
            lines += _waits(*([measure() for _ in range(ROUNDS)] for measure in (bench.prefix, bench.gap)))
    return Report(lines, [NOTE])


def _bench(shape: str, folder: Path, stack: ExitStack) -> Bench:
    """Open everything that is measured of a shape; `stack` closes it."""
    files = model(shape)
    unedited = deployment(folder / "unedited", files / "onnx")
    edited = deployment(folder / "edited", files / "onnx")
    assert gather_before_lm_head(unedited / "model.onnx", edited / "model.onnx")
    settings = Settings(slots=CHATS, kv_memory_mb=4096, prefix_cache_mb=512)
    threads = str(settings.threads or available_processors())
    runner = stack.enter_context(asyncio.Runner())
    engines = [opening.open(load(one), settings) for one in (edited, unedited)]
    for one in engines:
        stack.callback(one.close)
    knobs = {"INFERENCE_THREADS": "0", "INFERENCE_KV_MEMORY_MB": "4096"}
    server = stack.enter_context(running(edited.parent / "edited", folder / "server.log", **knobs))
    genai = stack.enter_context(peer("genai", str(files / "onnx"), pins="engine"))
    llama = stack.enter_context(peer("llama", str(files / "model.gguf"), threads, pins="engine"))
    engine, plain = (one.generator for one in engines)
    assert engine is not None
    assert plain is not None
    return Bench(shape, runner, engine, plain, server.url, genai, llama, np.random.default_rng(0))


def model(shape: str) -> Path:
    """Return the folder with a shape's model in all formats; made once."""
    folder = ENVIRONMENTS / "models" / shape
    if not (folder / "model.gguf").exists():
        subprocess.run([environment("engine"), HERE / "models.py", shape, folder], check=True)
    return folder


def deployment(folder: Path, files: Path) -> Path:
    """Write a card beside the builder's files; answers end only at their length."""
    folder.mkdir()
    for file in files.iterdir():
        if file.suffix in (".onnx", ".data"):
            (folder / file.name).hardlink_to(file)
    checkpoint = files.parent / "hf"
    (folder / "tokenizer.json").hardlink_to(checkpoint / "tokenizer.json")
    config = json.loads((checkpoint / "config.json").read_text())
    write_json(folder / "config.json", {name: value for name, value in config.items() if name in SIZES})
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    parameters = {**CARD["parameters"], "response_format": {}}
    card = {**CARD, "name": folder.name, "context": CONTEXT, "parameters": parameters}
    write_json(folder / "model.json", card)
    return folder


def _speeds(shape: str, rates: dict[str, list[float]]) -> Iterator[Line]:
    yield _line(f"**{shape}**: one stream, to genai", rates, "decode", "decode genai", 1)
    yield _line("one stream, to llama.cpp", rates, "decode", "decode llama", 1)
    yield _line("8 steady rows, to one", rates, "steady", "decode", 3)
    yield _line("8 steady rows, to llama.cpp", rates, "steady", "steady llama")
    yield _line("prefill of 256, to the builder's graph unedited", rates, "prefill", "prefill unedited", 1.2)
    yield _line("prefill of 256, to llama.cpp", rates, "prefill", "prefill llama", 0.9)
    yield _line("8 streams over HTTP, to in process", rates, "over HTTP", "in process", 0.95)


def _chats(shape: str, told: dict[str, list[tuple[float, float]]]) -> Iterator[Line]:
    rates = {name: [speed for speed, _ in pairs] for name, pairs in told.items()}
    firsts = {name: [first for _, first in pairs] for name, pairs in told.items()}
    every = f"8 chats over HTTP, one every {SHAPES[shape]} s"
    yield _line(f"{every}, to genai one at a time", rates, "chats", "chats genai", 2)
    yield _line(f"{every}, to llama.cpp's continuous batching", rates, "chats", "chats llama", 1.2)
    what = "their median time to the first token, to genai"
    yield _wait(what, firsts["chats"], firsts["chats genai"], 0.2)


def _waits(prefixes: list[tuple[float, float]], gaps: list[tuple[float, float]]) -> Iterator[Line]:
    first, second = ([pair[place] for pair in prefixes] for place in (0, 1))
    yield _wait("first token after 1,000 known tokens, to unknown ones", second, first, 0.1)
    longest, allowed = ([pair[place] for pair in gaps] for place in (0, 1))
    yield _wait("longest gap while others prefill, to a chunk and a step", longest, allowed, 1)


def _wait(what: str, seconds: list[float], to: list[float], most: float) -> Line:
    return Line(what, Spread.of(seconds), " ms", 1e3, Spread.ratio(seconds, to=to), Goal(most))


def _line(what: str, rates: dict[str, list[float]], name: str, to: str, least: float | None = None) -> Line:
    goal = None if least is None else Goal(least, least=True)
    return Line(what, Spread.of(rates[name]), " tokens/s", 1, Spread.ratio(rates[name], to=rates[to]), goal)


def _both(streams: list[Stream]) -> tuple[float, float]:
    return rate(streams), median_first(streams)


NOTE = (
    "llama.cpp has the same weights in Q4_0, genai the very file; both in processes of their own, idle "
    f"between their turns. Prompts of {min(LENGTHS)} to {max(LENGTHS)} tokens, answers of {ANSWER}."
)
