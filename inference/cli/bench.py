"""So many streams at once, each asking again when it was answered, until a count or a time is reached."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inference.cli.chat_client import ChatClient, Refusal
from inference.cli.parser import Commands, command
from inference.settings import LOOPBACK, Settings

PROMPTS = (
    "Write a short story about a lighthouse keeper.",
    "Explain how a bicycle stays upright.",
    "List ten things to pack for a week in the mountains, with a reason for each.",
    "Summarise the water cycle for a child of ten.",
    "Describe a market at dawn in as much detail as you can.",
    "What are the main differences between a river and a canal?",
    "Give me a plan for learning to play the piano in a year.",
    "Why is the sky blue, and why are sunsets red?",
)
"""Asked in turn, so that a cache of prompts does not answer for the model."""


@dataclass(frozen=True, slots=True)
class LoadBounds:
    """`requests` in all, or as many as begin within `seconds`; whichever ends first."""

    streams: int
    requests: int
    seconds: float
    max_tokens: int


@dataclass(frozen=True, slots=True)
class LoadAnswer:
    """One request: seconds to its first text and to its end, its tokens; or why it was refused.

    Tokens are what usage says, or pieces of text where an endpoint tells no usage.
    """

    first: float
    whole: float
    tokens: int
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """All requests, and the seconds from the first's begin to the last's end."""

    answered: tuple[LoadAnswer, ...]
    seconds: float


async def load(speaker: ChatClient, bounds: LoadBounds) -> Load:
    """Refusals are counted and not repeated."""
    began = time.perf_counter()
    numbers = iter(range(bounds.requests))
    streams = [_stream(speaker, bounds, numbers, began + bounds.seconds) for _ in range(bounds.streams)]
    found = await asyncio.gather(*streams)
    return Load(tuple(one for stream in found for one in stream), time.perf_counter() - began)


async def _stream(
    speaker: ChatClient, bounds: LoadBounds, numbers: Iterator[int], end: float
) -> list[LoadAnswer]:
    answered = []
    for number in numbers:
        if time.perf_counter() >= end:
            break
        answered.append(await _ask(speaker, PROMPTS[number % len(PROMPTS)], bounds.max_tokens))
    return answered


async def _ask(speaker: ChatClient, prompt: str, max_tokens: int) -> LoadAnswer:
    body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": max_tokens}
    began, first, told, seen = time.perf_counter(), None, None, 0
    try:
        async for piece in speaker.answer(body):
            if piece.text:
                first = first or time.perf_counter()
                seen += 1
            told = piece.usage or told
    except Refusal as refusal:
        return LoadAnswer(0, time.perf_counter() - began, 0, str(refusal))
    ended = time.perf_counter()
    tokens = int(told["completion_tokens"]) if told and "completion_tokens" in told else seen
    return LoadAnswer((first or ended) - began, ended - began, tokens)


PERCENTS = (50, 90, 99)


def percentile(values: Sequence[float], percent: int) -> float:
    """By nearest rank: the smallest value that so many percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def report(load: Load) -> Iterator[str]:
    """Lines; of requests that were refused the reasons, most frequent first."""
    fine = [one for one in load.answered if one.refusal is None]
    yield f"{len(fine)} answers, {len(load.answered) - len(fine)} refused, {load.seconds:.1f} s"
    if fine:
        tokens = sum(one.tokens for one in fine)
        rate, answers = tokens / load.seconds, len(fine) / load.seconds
        yield f"{tokens} tokens, {rate:.1f} tokens/s in all, {answers:.2f} answers/s"
        yield ""
        yield f"{'':<28}" + "".join(f"{'p' + str(percent):>10}" for percent in PERCENTS)
        yield _row("time to first text, ms", [one.first * 1000 for one in fine])
        yield _row("whole answer, ms", [one.whole * 1000 for one in fine])
        yield _row("tokens/s of one stream", [_speed(one) for one in fine], slowest_last=True)
    refused = Counter(one.refusal for one in load.answered if one.refusal is not None)
    for reason, times in refused.most_common():
        yield f"refused {times} times: {reason}"


def _row(name: str, values: Sequence[float], *, slowest_last: bool = False) -> str:
    """Of a speed the percentiles are of its slowness: p99 is what all but one in a hundred exceed."""
    sign = -1 if slowest_last else 1
    signed = [sign * value for value in values]
    return f"{name:<28}" + "".join(f"{sign * percentile(signed, percent):>10.1f}" for percent in PERCENTS)


def _speed(one: LoadAnswer) -> float:
    return one.tokens / one.whole if one.whole else 0.0


MORE = """\
Load costs whoever runs the endpoint: another machine than this one is asked only with --yes.
Exit code: 0, or 1 when a request was refused."""


def add(commands: Commands) -> None:
    bench = command(commands, "bench", meaning="measure an endpoint under load", more=MORE)
    bench.add_argument("url", help="an endpoint, any base path, such as http://127.0.0.1:7071")
    bench.add_argument("--streams", type=_count, default=4, help="requests at once (default %(default)s)")
    bench.add_argument("--requests", type=_count, default=32, help="in all, at most (default %(default)s)")
    bench.add_argument("--seconds", type=float, default=60, help="none begins later (default %(default)s)")
    bench.add_argument("--max-tokens", type=_count, default=64, help="of an answer (default %(default)s)")
    bench.add_argument("--model", help="the deployment, where the endpoint serves several")
    bench.add_argument("--key", default="", help="an API key (default: what INFERENCE_API_KEYS has first)")
    bench.add_argument("--yes", action="store_true", help="put load on another machine than this one")
    bench.set_defaults(run=_bench)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected a whole number from 1")
    return number


def _bench(options: argparse.Namespace) -> int:

    try:
        return asyncio.run(_load(options))
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1


async def _load(options: argparse.Namespace) -> int:
    """Raises `client.chunks.Refusal` before anything is asked."""
    from inference.cli.chat_client import HttpChatClient, Refusal

    key = options.key or next(iter(Settings.from_environment().api_keys), "")
    remote = HttpChatClient(options.url, key=key, model=options.model)
    try:
        if remote.host not in LOOPBACK and not options.yes:
            raise Refusal(f"{remote.host} is another machine: say --yes to put load on it.")
        bounds = LoadBounds(options.streams, options.requests, options.seconds, options.max_tokens)
        loaded = await load(remote, bounds)
    finally:
        await remote.close()
    for line in report(loaded):
        print(line)
    return 1 if any(one.refusal for one in loaded.answered) else 0
