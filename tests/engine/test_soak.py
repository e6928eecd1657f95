"""Thousands of requests, many cancelled: all rows are free at the end, and no memory leaks."""

from __future__ import annotations

import asyncio
import gc
import random
from pathlib import Path

from inference.contracts import Finish, GenerationRequest, Generator, Sampling
from inference.engine.engine import Engine
from tests.backends.decoder.running import opened, random_prompt
from tests.support import models
from tests.support.decoders import write_decoder

ROUNDS = 6
REQUESTS = 500
TOGETHER = 40
GROWTH_KIB = 6 * 1024
"""The most that the process may grow in the later rounds; a leak of one KiB a request would be 2,000."""


async def test_thousands_of_requests_leave_no_row_and_no_memory_in_use(tmp_path: Path) -> None:
    write_decoder(tmp_path)
    with opened(tmp_path / "tiny-chat") as model:
        engine = models.generator(model)
        assert isinstance(engine, Engine)
        sizes = []
        for number in range(ROUNDS):
            await one_round(engine, random.Random(number))
            gc.collect()
            sizes.append(resident_kib())
        assert len(engine._streams) == 0
        assert len(engine._waiting) == 0
        full = [GenerationRequest(random_prompt(5, seed=seed), 30, Sampling(0)) for seed in range(8)]
        ends = await asyncio.gather(*(finish_of(engine, each) for each in full))
        assert all(end.usage.completion_tokens == 30 for end in ends)
    assert sizes[-1] - sizes[1] < GROWTH_KIB, sizes


async def one_round(generator: Generator, chance: random.Random) -> None:
    gate = asyncio.Semaphore(TOGETHER)

    async def one() -> None:
        sampling = Sampling(chance.choice((0.0, 0.9)), frequency_penalty=chance.choice((0.0, 0.5)))
        prompt = random_prompt(chance.choice((1, 2, 5, 20, 70, 140)), seed=chance.randrange(12))
        request = GenerationRequest(
            prompt, chance.randrange(1, 8), sampling, logprobs=chance.choice((None, 3))
        )
        leave_after = chance.choice((0, 1, 3, 99, 99))
        async with gate:
            await up_to(generator, request, leave_after)

    await asyncio.gather(*(one() for _ in range(REQUESTS)))


async def up_to(generator: Generator, request: GenerationRequest, count: int) -> None:
    """Read so many events, then close the stream; 0 closes it while the request waits."""
    stream = generator.generate(request)
    if not count:
        task = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    else:
        async for _ in stream:
            count -= 1
            if not count:
                break
    await stream.aclose()


async def finish_of(generator: Generator, request: GenerationRequest) -> Finish:
    events = [event async for event in generator.generate(request)]
    assert isinstance(events[-1], Finish)
    return events[-1]


def resident_kib() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")
