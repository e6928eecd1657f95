"""So many streams at once, each asking again when it was answered, until a count or a time is reached."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

from inference.cli.chat_client import ChatClient
from inference.cli.chunks import Refusal

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
