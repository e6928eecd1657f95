"""Measurements of a deployment on this machine: load time, memory, and rates of tokens, texts and images."""

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
    RerankModel,
    TextEmbeddingModel,
)
from inference.conformance.azure_plans import MIB, MemoryNeed
from inference.conformance.probe_texts import WORDS as ENGLISH
from inference.conformance.probe_texts import ProbeTexts
from inference.contracts import Finish, GenerationRequest, Generator, ImageEmbedder, Token
from inference.engine.engine import Engine
from inference.registry.memory_estimate import resident
from inference.registry.registry import Registry
from inference.settings import Settings

STATUS = Path("/proc/self/status")
LOAD_SECONDS = 3600
"""Time for loading, longer than that of a served request."""
PROMPT, ANSWER, STREAMS = 128, 32, 4
"""Tokens of a prompt and of an answer, and sequences at once."""
IDS = 98
"""The ids of tokens that prompts have, at most."""
TEXTS, WORDS, WORD = 32, 24, "measure "
"""Texts of a batch, and the words of each."""
QUERY = 8
"""Tokens of a query that documents of such texts are ranked by."""
IMAGES, EDGE = 8, 224
"""Images of a batch, and the pixels of their edges."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A line of the report: a number and its unit."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """Rates of a deployment; `need` is None where the system does not report a process's memory."""

    rates: Sequence[Rate]
    need: MemoryNeed | None


async def measure(name: str, settings: Settings) -> Measurement:
    """Open a deployment and measure it.

    Raises `errors.ApiError` where there is no such deployment or it does not open.
    """
    registry = Registry(settings)
    try:
        before, began = resident(), time.perf_counter()
        opened = await registry.open(registry.get(name), patience=LOAD_SECONDS)
        rates = [Rate("load", time.perf_counter() - began, "s")]
        rates += await _rates(opened)
        after, most = resident(), peak()
        if before and after and most is not None:
            rates += [Rate("memory of the model", max(after - before, 0) / MIB, "MiB")]
            rates += [Rate("memory of the process, at most", most / MIB, "MiB")]
        return Measurement(rates, None if most is None else _need(opened, most, settings))
    finally:
        registry.close()


def peak() -> int | None:
    """Return the most bytes of this process in memory so far; None where the system does not report them."""
    return _status_field("VmHWM:")


def _status_field(name: str) -> int | None:
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith(name)), None)
    return None if kilobytes is None else int(kilobytes) * 1024


async def _rates(opened: LoadedModel) -> list[Rate]:
    match opened:
        case GenerativeModel():
            return await _generation_rates(opened)
        case TextEmbeddingModel():
            return [await _text_rate(opened)]
        case ImageEmbeddingModel():
            texts = [await _text_rate(opened.text)] if opened.text is not None else []
            return [*texts, await _image_rate(opened.embedder)]
        case RerankModel():
            return [await _pair_rate(opened)]
    return []


async def _pair_rate(model: RerankModel) -> Rate:
    ids = model.tokenizer.encode(WORD * WORDS, special=False)
    pair = model.tokenizer.pair_template.fitted(ids[:QUERY], ids, model.scorer.context)
    began = time.perf_counter()
    await model.scorer.score([pair] * TEXTS)
    return Rate(f"pairs of {len(pair.ids)} tokens", TEXTS / (time.perf_counter() - began), "pairs/s")


async def _text_rate(model: TextEmbeddingModel) -> Rate:
    probe = ProbeTexts.known_to(model.tokenizer)
    text = WORD * WORDS if probe.words == ENGLISH else probe.separator.join(probe.words * (WORDS // 2))
    texts = [model.tokenizer.encode(text, special=True)[: model.embedder.context]] * TEXTS
    began = time.perf_counter()
    await model.embedder.embed(texts)
    return Rate(f"texts of {len(texts[0])} tokens", TEXTS / (time.perf_counter() - began), "texts/s")


async def _image_rate(embedder: ImageEmbedder) -> Rate:
    import numpy as np

    images = [np.zeros((EDGE, EDGE, 3), np.uint8)] * IMAGES
    began = time.perf_counter()
    await embedder.embed_images(images)
    return Rate("images", IMAGES / (time.perf_counter() - began), "images/s")


async def _generation_rates(model: GenerativeModel) -> list[Rate]:
    """Measure one sequence alone and several at once, after a warm-up."""
    length = min(PROMPT, model.generator.context // 2)
    await _time_streams(model, length, 1, 0)
    first, speed = await _time_streams(model, length, 1, 1)
    slowest_first, total_speed = await _time_streams(model, length, STREAMS, 2)
    return [
        Rate(f"time to first token, prompt of {length}", first * 1000, "ms"),
        Rate("one answer", speed, "tokens/s"),
        Rate(f"{STREAMS} answers at once, all together", total_speed, "tokens/s"),
        Rate(f"time to first token, {STREAMS} at once", slowest_first * 1000, "ms"),
    ]


async def _time_streams(model: GenerativeModel, length: int, streams: int, salt: int) -> tuple[float, float]:
    """Return seconds to the first token of the slowest stream, and tokens/s of all after their first.

    `salt` makes prompts that no earlier call has left in the prefix cache.
    """
    ids = max(min(model.tokenizer.vocabulary_size, IDS) - 1, 1)
    prompts = [tuple((salt + row + column) % ids + 1 for column in range(length)) for row in range(streams)]
    began = time.perf_counter()
    times = await asyncio.gather(*(_token_times(model.generator, prompt) for prompt in prompts))
    slowest_first, earliest_first = max(one[0] for one in times), min(one[0] for one in times)
    last, count = max(one[-1] for one in times), sum(len(one) - 1 for one in times)
    return slowest_first - began, count / max(last - earliest_first, 1e-9)


async def _token_times(generator: Generator, prompt: tuple[int, ...]) -> list[float]:
    request = GenerationRequest(prompt, min(ANSWER, generator.context - len(prompt)))
    events = generator.generate(request)
    return [time.perf_counter() async for event in events if isinstance(event, Token | Finish)]


def _need(opened: LoadedModel, process: int, settings: Settings) -> MemoryNeed:
    if not (isinstance(opened, GenerativeModel) and isinstance(opened.generator, Engine)):
        return MemoryNeed(process)
    cache = opened.generator.cache
    per_token = sum(array.shape[1] * array.shape[3] * array.itemsize for array in cache.arrays)
    return MemoryNeed(process, per_token, cache.length, settings.slots)
