"""How much memory this process has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.backends.loaded_models import (
    GenerativeModel,
    ImageEmbeddingModel,
    LoadedModel,
    TextEmbeddingModel,
)
from inference.conformance.azure_plans import Need
from inference.contracts import Finish, GenerationRequest, Generator, Token
from inference.engine.engine import Engine
from inference.registry.registry import Registry
from inference.settings import Settings

STATUS = Path("/proc/self/status")


def resident() -> int | None:
    """Bytes that are in memory now; None where the system does not say."""
    return _field("VmRSS:")


def peak() -> int | None:
    """The most bytes that were in memory since the process began; None where the system does not say."""
    return _field("VmHWM:")


def _field(name: str, status: Path | None = None) -> int | None:
    try:
        lines = (status or STATUS).read_text().splitlines()
    except OSError:
        return None
    found = (line.split()[1] for line in lines if line.startswith(name))
    kilobytes = next(found, None)
    return None if kilobytes is None else int(kilobytes) * 1024


PATIENCE = 3600
PROMPT, ANSWER, STREAMS = 128, 32, 4
"""Tokens of a measured prompt and answer, and how many sequences are run at once."""
TEXTS, WORDS, PICTURES, EDGE = 32, 24, 8, 224
WORD = "measure "


@dataclass(frozen=True, slots=True)
class Rate:
    """A line of the report: how many of what."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Measured:
    """`rates` in the report's order; `need` is None where the system does not tell a process's memory."""

    rates: Sequence[Rate]
    need: Need | None


async def measure(name: str, settings: Settings) -> Measured:
    """Raises `errors.ApiError` when there is no such deployment or it does not open."""
    registry = Registry(settings)
    try:
        before, began = resident(), time.perf_counter()
        opened = await registry.open(registry.get(name), patience=PATIENCE)
        rates = [Rate("load", time.perf_counter() - began, "s")]
        rates += await _rates(opened)
        after, most = resident(), peak()
        if before is not None and after is not None and most is not None:
            rates += [Rate("memory of the model", max(after - before, 0) / 2**20, "MiB")]
            rates += [Rate("memory of the process, at most", most / 2**20, "MiB")]
        return Measured(rates, None if most is None else _need(opened, most, settings))
    finally:
        registry.close()


async def _rates(opened: LoadedModel) -> list[Rate]:
    match opened:
        case GenerativeModel():
            return await _generation(opened.generator)
        case TextEmbeddingModel():
            return [await _texts(opened)]
        case ImageEmbeddingModel():
            texts = [await _texts(opened.text)] if opened.text is not None else []
            return [*texts, await _images(opened)]
    return []


async def _texts(model: TextEmbeddingModel) -> Rate:
    texts = [model.tokenizer.encode(WORD * WORDS, special=True)[: model.embedder.context]] * TEXTS
    began = time.perf_counter()
    await model.embedder.embed(texts)
    return Rate(f"texts of {len(texts[0])} tokens", TEXTS / (time.perf_counter() - began), "texts/s")


async def _images(model: ImageEmbeddingModel) -> Rate:
    import numpy as np

    images = [np.zeros((EDGE, EDGE, 3), np.uint8)] * PICTURES
    began = time.perf_counter()
    await model.embedder.embed_images(images)
    return Rate("images", PICTURES / (time.perf_counter() - began), "images/s")


async def _generation(generator: Generator) -> list[Rate]:
    """A first run warms up; then one sequence alone, and several at once."""
    length = min(PROMPT, generator.context // 2)
    await _timed(generator, length, 1, 0)
    first, speed = await _timed(generator, length, 1, 1)
    several, together = await _timed(generator, length, STREAMS, 2)
    return [
        Rate(f"time to first token, prompt of {length}", first * 1000, "ms"),
        Rate("one answer", speed, "tokens/s"),
        Rate(f"{STREAMS} answers at once, all together", together, "tokens/s"),
        Rate(f"time to first token, {STREAMS} at once", several * 1000, "ms"),
    ]


async def _timed(generator: Generator, length: int, streams: int, salt: int) -> tuple[float, float]:
    """Seconds to the first token (the slowest stream's), and tokens a second of all after the first."""
    prompts = [tuple((salt + row + place) % 97 + 1 for place in range(length)) for row in range(streams)]
    began = time.perf_counter()
    marks = await asyncio.gather(*(_marks(generator, prompt) for prompt in prompts))
    first = max(times[0] for times in marks)
    last, count = max(times[-1] for times in marks), sum(len(times) - 1 for times in marks)
    alone = min(times[0] for times in marks)
    return first - began, count / max(last - alone, 1e-9)


async def _marks(generator: Generator, prompt: tuple[int, ...]) -> list[float]:
    request = GenerationRequest(prompt, min(ANSWER, generator.context - len(prompt)))
    events = generator.generate(request)
    return [time.perf_counter() async for event in events if isinstance(event, Token | Finish)]


def _need(opened: LoadedModel, most: int, settings: Settings) -> Need:
    if not (isinstance(opened, GenerativeModel) and isinstance(opened.generator, Engine)):
        return Need(most)
    cache = opened.generator.cache
    each = sum(array.shape[1] * array.shape[3] * array.itemsize for array in cache.arrays)
    return Need(most, each, cache.length, settings.slots)
