"""When tokens come: of the engine in process and of a server process, for one and for several streams."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from benchmarks.bare_client import arrivals
from inference.contracts import Constraint, GenerationRequest, Generator, Sampling, Token

GREEDY = Sampling(temperature=0)
LETTERS = slice(ord("a"), ord("z") + 1)


@dataclass(frozen=True, slots=True)
class Stream:
    """When a stream was asked for, and when each of its tokens came, in seconds of one clock."""

    asked: float
    tokens: Sequence[float]

    @property
    def first(self) -> float:
        """Return the seconds to the first token."""
        return self.tokens[0] - self.asked

    @property
    def longest_gap(self) -> float:
        """Return the seconds of the longest wait between two tokens."""
        return float(np.diff(self.tokens).max())


def prompt(random: np.random.Generator, length: int) -> tuple[int, ...]:
    """Return any tokens; new ones every time, so that none are known."""
    return tuple(random.integers(1, 256, length).tolist())


def text(random: np.random.Generator, length: int) -> str:
    """Return the same as letters, each of which is a token of the models made here."""
    return "".join(chr(97 + letter) for letter in random.integers(0, 26, length))


async def stream(
    generator: Generator, tokens: Sequence[int], count: int, *, constraint: Constraint | None = None
) -> Stream:
    """Run one sequence in process."""
    clock = asyncio.get_running_loop().time
    request = GenerationRequest(tuple(tokens), count, GREEDY, constraint=constraint)
    asked = clock()
    times = [clock() async for event in generator.generate(request) if isinstance(event, Token)]
    return Stream(asked, times)


async def http_stream(server: str, question: str, count: int) -> Stream:
    """Run one chat over HTTP."""
    asked = asyncio.get_running_loop().time()
    messages = [{"role": "user", "content": question}]
    body = {"messages": messages, "max_tokens": count, "temperature": 0, "stream": True}
    times = await arrivals(httpx.URL(server), "/chat/completions", body)
    return Stream(asked, times[1:-2])  # without who speaks, the finish reason and the end's mark


async def several(streams: Sequence[Coroutine[Any, Any, Stream]], every: float = 0.0) -> list[Stream]:
    """Run streams that begin one after the other, so many seconds apart."""

    async def later(number: int, one: Coroutine[Any, Any, Stream]) -> Stream:
        await asyncio.sleep(number * every)
        return await one

    return list(await asyncio.gather(*(later(number, one) for number, one in enumerate(streams))))


def rate(streams: Sequence[Stream]) -> float:
    """Return tokens a second of all of them, from the first request to the last token."""
    seconds = max(one.tokens[-1] for one in streams) - min(one.asked for one in streams)
    return sum(len(one.tokens) for one in streams) / seconds


def steady_rate(streams: Sequence[Stream]) -> float:
    """Return tokens a second while all of them had begun and none had ended."""
    begin = max(one.tokens[0] for one in streams)
    end = min(one.tokens[-1] for one in streams)
    return sum(sum(begin < time <= end for time in one.tokens) for one in streams) / (end - begin)


def median_first(streams: Sequence[Stream]) -> float:
    """Return the seconds to the first token."""
    return statistics.median(one.first for one in streams)
