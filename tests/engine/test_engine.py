"""The engine's thread and its streams: joining, refusing, cancelling, closing. No test sleeps."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, aclosing

import numpy as np
import pytest

from inference.contracts import (
    Events,
    Finish,
    FinishReason,
    GenerationRequest,
    Prefilled,
    Sampling,
    Token,
    Usage,
)
from inference.engine.engine import Engine
from inference.errors import Busy, GenerationFailed
from tests.engine.history import GatedDecoder, HistoryDecoder, continuation, small_cache

GREEDY = Sampling(temperature=0)
ENDLESS = 100_000


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Callbacks for the end of the test."""
    with ExitStack() as stack:
        yield stack


def free_engine(
    closing: ExitStack, *, rows: int = 4, length: int = 512, queue: int = 64
) -> tuple[Engine, HistoryDecoder]:
    decoder = HistoryDecoder(small_cache(rows, length))
    engine = Engine(decoder, decoder.cache, queue_limit=queue)
    closing.callback(engine.close)
    return engine, decoder


def gated_engine(
    closing: ExitStack, *, rows: int = 1, length: int = 512, queue: int = 4
) -> tuple[Engine, GatedDecoder]:
    decoder = GatedDecoder(small_cache(rows, length))
    engine = Engine(decoder, decoder.cache, queue_limit=queue)
    closing.callback(engine.close)
    closing.callback(decoder.open)
    return engine, decoder


def request_of(prompt: tuple[int, ...], max_tokens: int, sampling: Sampling = GREEDY) -> GenerationRequest:
    return GenerationRequest(prompt, max_tokens, sampling)


async def answer(engine: Engine, request: GenerationRequest) -> tuple[list[int], Finish]:
    tokens: list[int] = []
    async for event in engine.generate(request):
        if isinstance(event, Finish):
            return tokens, event
        if isinstance(event, Token):
            tokens.append(event.id)
    raise AssertionError("the stream has no Finish")


async def shown(engine: Engine, request: GenerationRequest) -> Events:
    """Yield the events after `Prefilled`, for tests that count them."""
    async with aclosing(engine.generate(request)) as stream:
        async for event in stream:
            if not isinstance(event, Prefilled):
                yield event


async def submit(stream: Events) -> asyncio.Task[object]:
    """Return a task that waits for the first event, with its request submitted."""
    task: asyncio.Task[object] = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    return task


async def test_tokens_then_finish(closing: ExitStack) -> None:
    engine, _ = free_engine(closing)
    tokens, finish = await answer(engine, request_of((3, 1, 4), 5))
    assert tokens == continuation((3, 1, 4), 5)
    assert finish == Finish(FinishReason.LENGTH, Usage(3, 5, 0))


async def test_thread_starts_with_the_first_request_and_ends_with_close(closing: ExitStack) -> None:
    before = threading.active_count()
    engine, decoder = free_engine(closing)
    assert threading.active_count() == before
    await answer(engine, request_of((1,), 1))
    assert threading.active_count() == before + 1
    engine.close()
    assert threading.active_count() == before
    engine.close()
    assert decoder.closed == 1


def test_engine_that_never_ran_closes_its_decoder(closing: ExitStack) -> None:
    engine, decoder = free_engine(closing)
    engine.close()
    assert decoder.closed == 1


def mixed_requests(count: int) -> list[GenerationRequest]:
    random = np.random.default_rng(1)
    requests = []
    for index in range(count):
        prompt = tuple(random.integers(0, 512, int(random.integers(1, 200))).tolist())
        sampling = Sampling(0.9, top_p=0.95, seed=index) if index % 2 else GREEDY
        requests.append(request_of(prompt, int(random.integers(1, 25)), sampling))
    return requests


@pytest.mark.parametrize("rows", [1, 3, 8])
async def test_answers_do_not_depend_on_other_sequences(closing: ExitStack, rows: int) -> None:
    engine, decoder = free_engine(closing, rows=rows)
    requests = mixed_requests(24)
    alone = [await answer(engine, request) for request in requests]
    permutation = np.random.default_rng(rows).permutation(len(requests)).tolist()
    together = await asyncio.gather(*(answer(engine, requests[index]) for index in permutation))
    assert [alone[index] for index in permutation] == together
    assert max(decoder.decodes) >= min(rows, 3)


async def test_sequence_joins_running_ones(closing: ExitStack) -> None:
    engine, decoder = gated_engine(closing, rows=2)
    first, second = shown(engine, request_of((1,), 40)), shown(engine, request_of((2,), 3))
    async with aclosing(first), aclosing(second):
        decoder.permit(3)
        assert [await anext(first) for _ in range(3)] == [Token(token) for token in continuation((1,), 3)]
        joined = await submit(second)
        decoder.open()
        assert await joined == Token(continuation((2,), 1)[0])
        assert [event async for event in first][-1] == Finish(FinishReason.LENGTH, Usage(1, 40))
    assert 2 in decoder.decodes


async def test_full_queue_is_refused_before_the_first_event(closing: ExitStack) -> None:
    engine, decoder = gated_engine(closing, rows=1, queue=1)
    running, waiting = engine.generate(request_of((1,), 2)), engine.generate(request_of((2,), 2))
    tasks = [await submit(running), await submit(waiting)]
    with pytest.raises(Busy) as refusal:
        await anext(engine.generate(request_of((3,), 2)))
    assert refusal.value.headers["Retry-After"]
    decoder.open()
    assert await asyncio.gather(*tasks)
    await waiting.aclose()
    assert (await answer(engine, request_of((3,), 2)))[0] == continuation((3,), 2)
    await running.aclose()


async def test_waiting_sequence_that_is_closed_frees_its_slot(closing: ExitStack) -> None:
    engine, decoder = gated_engine(closing, rows=1, queue=1)
    running, waiting = engine.generate(request_of((1,), 2)), engine.generate(request_of((2,) * 50, 2))
    first, second = await submit(running), await submit(waiting)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    third = asyncio.ensure_future(answer(engine, request_of((3,), 2)))
    decoder.open()
    assert (await third)[0] == continuation((3,), 2)
    await first
    await running.aclose()
    assert 50 not in decoder.prefills


async def close_stream(stream: Events) -> None:
    await stream.aclose()


async def cancel_task(stream: Events) -> None:
    async def consume() -> None:
        async for _ in stream:
            pass

    task = asyncio.ensure_future(consume())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("leave", [close_stream, cancel_task])
async def test_consumer_that_leaves_frees_its_row(
    closing: ExitStack, leave: Callable[[Events], Awaitable[None]]
) -> None:
    engine, decoder = gated_engine(closing, rows=1, length=200_000)
    stream = shown(engine, request_of((1,), ENDLESS))
    decoder.permit(1)
    await anext(stream)
    await leave(stream)
    second = await submit(shown(engine, request_of((2,), 1)))
    # One step for the row whose consumer left while it ran, one for the next prompt.
    decoder.permit(2)
    assert await second == Token(continuation((2,), 1)[0])
    assert decoder.calls == ["prefill", "decode", "prefill"]


async def test_garbage_collected_stream_frees_its_row(closing: ExitStack) -> None:
    engine, decoder = gated_engine(closing, rows=1, length=200_000)
    stream = shown(engine, request_of((1,), ENDLESS))
    decoder.permit(1)
    await anext(stream)
    del stream
    gc.collect()
    decoder.open()
    assert (await answer(engine, request_of((2,), 3)))[0] == continuation((2,), 3)


def test_closed_event_loop_frees_its_rows(closing: ExitStack) -> None:
    engine, decoder = gated_engine(closing, rows=1, length=200_000)
    stream = shown(engine, request_of((1,), ENDLESS))
    decoder.permit(1)
    abandoned = asyncio.new_event_loop()
    abandoned.run_until_complete(anext(stream))
    abandoned.close()
    decoder.open()
    assert asyncio.run(answer(engine, request_of((2,), 3)))[0] == continuation((2,), 3)
    del stream


def test_requests_may_come_from_several_loops_at_once(closing: ExitStack) -> None:
    engine, _ = free_engine(closing)
    found: dict[int, list[int]] = {}

    def serve(token: int) -> None:
        found[token] = asyncio.run(answer(engine, request_of((token,), 20)))[0]

    threads = [threading.Thread(target=serve, args=(token,)) for token in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {token: continuation((token,), 20) for token in range(6)}


async def test_request_of_no_tokens_finishes_without_a_run(closing: ExitStack) -> None:
    engine, decoder = free_engine(closing)
    assert await answer(engine, request_of((1, 2), 0)) == ([], Finish(FinishReason.LENGTH, Usage(2, 0)))
    assert decoder.calls == []


async def test_prompt_that_fills_the_context_gets_no_tokens(closing: ExitStack) -> None:
    engine, _ = free_engine(closing, length=16)
    assert await answer(engine, request_of((1,) * 16, 9)) == ([], Finish(FinishReason.LENGTH, Usage(16, 0)))
    assert await answer(engine, request_of((1,) * 15, 9)) == (
        continuation((1,) * 15, 1),
        Finish(FinishReason.LENGTH, Usage(15, 1)),
    )


@pytest.mark.parametrize("prompt", [(), (1,) * 17])
async def test_prompts_that_cannot_run_are_refused(closing: ExitStack, prompt: tuple[int, ...]) -> None:
    engine, _ = free_engine(closing, length=16)
    with pytest.raises(GenerationFailed, match="1 to 16 tokens"):
        await anext(engine.generate(request_of(prompt, 1)))


@pytest.mark.parametrize("token", [-1, 512])
async def test_ids_outside_the_vocabulary_are_refused(closing: ExitStack, token: int) -> None:
    engine, decoder = free_engine(closing)
    with pytest.raises(GenerationFailed, match="below 512"):
        await anext(engine.generate(request_of((1, token, 2), 1)))
    assert decoder.calls == []


async def test_close_ends_every_stream_with_an_error(closing: ExitStack) -> None:
    engine, decoder = gated_engine(closing, rows=1)
    streams = [shown(engine, request_of((token,), 50)) for token in (1, 2)]
    decoder.permit(1)
    await anext(streams[0])
    tasks = [await submit(stream) for stream in streams]
    closed = asyncio.create_task(asyncio.to_thread(engine.close))
    for task in tasks:
        with pytest.raises(GenerationFailed, match="closed before"):
            await task
    decoder.open()
    await closed
    assert decoder.closed == 1
    with pytest.raises(GenerationFailed, match="closed"):
        await anext(shown(engine, request_of((1,), 1)))


async def test_failing_run_fails_its_stream_and_no_other(closing: ExitStack) -> None:
    engine, decoder = free_engine(closing)
    decoder.bombs = frozenset({511})
    healthy = asyncio.ensure_future(answer(engine, request_of((1,), 30)))
    with pytest.raises(GenerationFailed, match="failed while it computed"):
        await answer(engine, request_of((511,), 5))
    assert (await healthy)[0] == continuation((1,), 30)


async def test_engine_survives_a_step_that_breaks(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, decoder = free_engine(closing)
    with monkeypatch.context() as broken:
        broken.setattr(decoder, "decode", lambda tokens, lengths: np.zeros((0, 512), np.float32))
        with pytest.raises(GenerationFailed):
            await answer(engine, request_of((1,), 5))
    assert (await answer(engine, request_of((1,), 5)))[0] == continuation((1,), 5)
