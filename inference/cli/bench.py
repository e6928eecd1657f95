"""`python -m inference bench`: an endpoint under load, as many requests at once as there are streams."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inference.cli.chat_client import ChatClient, Refusal
from inference.settings import LOOPBACK, Settings

EPILOG = """\
Load costs the owner of the endpoint: a machine other than this one needs --yes.
Exit code: 0, or 1 if a request was refused."""

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
"""Prompts, sent in turn, so that a prefix cache cannot answer for the model."""

PERCENTS = (50, 90, 99)
"""Percentiles in the report."""


@dataclass(frozen=True, slots=True)
class LoadBounds:
    """The load: it ends after so many requests, or when no more start within the seconds."""

    streams: int
    requests: int
    seconds: float
    max_tokens: int


@dataclass(frozen=True, slots=True)
class LoadAnswer:
    """The measurements of one request, or the reason why it was refused."""

    first: float
    """Seconds to the first text."""
    total: float
    """Seconds to the end."""
    tokens: int
    """Tokens of the answer by its usage; the number of chunks with text if there is no usage."""
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class LoadResult:
    """All requests, and the seconds from the start of the first to the end of the last."""

    answers: tuple[LoadAnswer, ...]
    seconds: float


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("url", help="an endpoint, any base path, such as http://127.0.0.1:7071")
    parser.add_argument("--streams", type=_count, default=4, help="requests at once (default %(default)s)")
    parser.add_argument("--requests", type=_count, default=32, help="requests in all (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="none starts later (default %(default)s)")
    parser.add_argument("--max-tokens", type=_count, default=64, help="of an answer (default %(default)s)")
    parser.add_argument("--model", help="the deployment, if the endpoint has several")
    parser.add_argument("--key", default="", help="an API key (default: the first of INFERENCE_API_KEYS)")
    parser.add_argument("--yes", action="store_true", help="allow load on a machine other than this one")
    parser.set_defaults(run=_run)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected a whole number of at least 1")
    return number


def _run(options: argparse.Namespace) -> int:
    bounds = LoadBounds(options.streams, options.requests, options.seconds, options.max_tokens)
    try:
        result = asyncio.run(_load_endpoint(options, bounds))
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1
    for line in report(result):
        print(line)
    return 1 if any(answer.refusal for answer in result.answers) else 0


async def _load_endpoint(options: argparse.Namespace, bounds: LoadBounds) -> LoadResult:
    """Return the measurements of an endpoint. Raises `Refusal` before any request for a wrong URL."""
    from inference.cli.http_chat_client import HttpChatClient

    key = options.key or next(iter(Settings.from_environment().api_keys), "")
    client = HttpChatClient(options.url, key=key, model=options.model)
    try:
        if client.host not in LOOPBACK and not options.yes:
            raise Refusal(f"{client.host} is another machine: add --yes to put load on it.")
        return await load(client, bounds)
    finally:
        await client.close()


async def load(client: ChatClient, bounds: LoadBounds) -> LoadResult:
    """Return the measurements of a load; refused requests are counted and not repeated."""
    start = time.perf_counter()
    numbers = iter(range(bounds.requests))
    streams = [_stream(client, bounds, numbers, start + bounds.seconds) for _ in range(bounds.streams)]
    answers = await asyncio.gather(*streams)
    return LoadResult(tuple(answer for stream in answers for answer in stream), time.perf_counter() - start)


async def _stream(
    client: ChatClient, bounds: LoadBounds, numbers: Iterator[int], deadline: float
) -> list[LoadAnswer]:
    """Send one request after the other, until the shared numbers or the time run out."""
    answers = []
    for number in numbers:
        if time.perf_counter() >= deadline:
            break
        answers.append(await _request(client, PROMPTS[number % len(PROMPTS)], bounds.max_tokens))
    return answers


async def _request(client: ChatClient, prompt: str, max_tokens: int) -> LoadAnswer:
    body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": max_tokens}
    start, first, usage, chunks = time.perf_counter(), None, None, 0
    try:
        async for piece in client.answer(body):
            if piece.text:
                first = first or time.perf_counter()
                chunks += 1
            usage = piece.usage or usage
    except Refusal as refusal:
        return LoadAnswer(0, time.perf_counter() - start, 0, str(refusal))
    end = time.perf_counter()
    tokens = int(usage["completion_tokens"]) if usage and "completion_tokens" in usage else chunks
    return LoadAnswer((first or end) - start, end - start, tokens)


def report(result: LoadResult) -> Iterator[str]:
    """Yield the lines of a report, the reasons of refusals last and most frequent first."""
    answers = [answer for answer in result.answers if answer.refusal is None]
    yield f"{len(answers)} answers, {len(result.answers) - len(answers)} refused, {result.seconds:.1f} s"
    if answers:
        tokens = sum(answer.tokens for answer in answers)
        token_rate, answer_rate = tokens / result.seconds, len(answers) / result.seconds
        yield f"{tokens} tokens, {token_rate:.1f} tokens/s in all, {answer_rate:.2f} answers/s"
        yield ""
        yield f"{'':<28}" + "".join(f"{'p' + str(percent):>10}" for percent in PERCENTS)
        yield _row("time to first text, ms", [answer.first * 1000 for answer in answers])
        yield _row("whole answer, ms", [answer.total * 1000 for answer in answers])
        yield _row("tokens/s of one stream", [_token_rate(answer) for answer in answers], slowest_last=True)
    reasons = Counter(answer.refusal for answer in result.answers if answer.refusal is not None)
    for reason, count in reasons.most_common():
        yield f"refused {count} times: {reason}"


def _row(name: str, values: Sequence[float], *, slowest_last: bool = False) -> str:
    """Return a line of percentiles; of rates, p99 is the rate that 99 of 100 requests reach."""
    sign = -1 if slowest_last else 1
    signed = [sign * value for value in values]
    return f"{name:<28}" + "".join(f"{sign * percentile(signed, percent):>10.1f}" for percent in PERCENTS)


def _token_rate(answer: LoadAnswer) -> float:
    return answer.tokens / answer.total if answer.total else 0.0


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the nearest-rank percentile: a value that `percent` in a hundred do not exceed."""
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)]
