"""One exchange of several choices: each gets its own events, at its own pace."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from inference.backends.remote.endpoint import QUEUE_SIZE, fan_out
from inference.contracts import Finish, Text
from inference.errors import UpstreamError
from tests.backends.remote.remotes import drain, proxy_request, remote_endpoint, text_of
from tests.backends.remote.upstream import TIMEOUT_SECONDS, Exchange, answering, chat, chunk, event, streaming


def interleaved(*texts: str) -> list[Any]:
    """Return the chunks of a stream in which each of three choices has the texts."""
    chunks = [chunk(text, index=number) for text in texts for number in range(3)]
    return chunks + [chunk("", index=number, reason="stop") for number in range(3)]


@pytest.mark.parametrize("stream", [False, True])
async def test_each_choice_gets_its_own_events(stream: bool) -> None:
    script = streaming(interleaved("a", "b")) if stream else answering(chat("0ab", "1ab", "2ab"))
    async with remote_endpoint(script) as (endpoint, fake):
        streams = endpoint.generate(proxy_request(choices=3, stream=stream, n=3))
        found = await asyncio.gather(*(drain(one) for one in streams))
    assert len(fake.received) == 1
    assert [text_of(one) for one in found] == (["ab"] * 3 if stream else ["0ab", "1ab", "2ab"])
    assert all(isinstance(one[-1], Finish) for one in found)


async def test_closing_one_choice_does_not_end_the_others() -> None:
    resume = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        for number in range(3):
            await exchange.send_chunk(event(chunk("a", index=number)))
        await resume.wait()
        for body in interleaved(*"b" * 200):
            await exchange.send_chunk(event(body))
        await exchange.send_chunk(b"data: [DONE]\n\n")
        await exchange.end()

    async with remote_endpoint(script) as (endpoint, _):
        streams = endpoint.generate(proxy_request(choices=3, stream=True))
        assert [await anext(one) for one in streams] == [Text("a")] * 3
        await streams[1].aclose()
        resume.set()
        first, third = await asyncio.gather(drain(streams[0]), drain(streams[2]))
    assert text_of(first) == text_of(third) == "b" * 200


async def test_closing_all_choices_disconnects() -> None:
    disconnected = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        for number in range(3):
            await exchange.send_chunk(event(chunk("a", index=number)))
        await exchange.disconnected()
        disconnected.set()

    async with remote_endpoint(script) as (endpoint, _):
        streams = endpoint.generate(proxy_request(choices=3, stream=True))
        assert [await anext(one) for one in streams] == [Text("a")] * 3
        for one in streams[:2]:
            await one.aclose()
        assert not disconnected.is_set()
        await streams[2].aclose()
        await asyncio.wait_for(disconnected.wait(), TIMEOUT_SECONDS)


async def test_a_failure_reaches_every_choice() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send_chunk(event(chunk("a", index=0)))
        exchange.cut()

    async with remote_endpoint(script) as (endpoint, _):
        streams = endpoint.generate(proxy_request(choices=3, stream=True))
        ends = await asyncio.gather(*(drain(one) for one in streams), return_exceptions=True)
    assert [type(end) for end in ends] == [UpstreamError] * 3


async def test_the_slowest_choice_bounds_the_reading() -> None:
    """A choice that is not taken keeps a bounded number of events."""
    produced = 0

    async def exchange() -> Any:
        nonlocal produced
        while True:
            produced += 1
            yield produced % 2, Text("x")

    fast, slow = fan_out(exchange, 2)
    await anext(slow)
    taken = asyncio.create_task(drain(fast))
    for _ in range(QUEUE_SIZE * 20):
        await asyncio.sleep(0)
    assert produced <= 2 * QUEUE_SIZE + 5
    taken.cancel()
    await asyncio.gather(taken, return_exceptions=True)
    await slow.aclose()


async def test_nothing_is_sent_before_the_first_event_is_taken() -> None:
    async with remote_endpoint(answering(chat("fine"))) as (endpoint, fake):
        streams: Any = endpoint.generate(proxy_request()) + endpoint.generate(proxy_request(choices=2))
        for _ in range(10):
            await asyncio.sleep(0)
        assert fake.connections == 0
        for one in streams:
            await one.aclose()
