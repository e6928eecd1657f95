"""One exchange of several choices: each gets its own events, at its own pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from inference.backends.remote.endpoint import QUEUE_SIZE, fan_out
from inference.backends.remote.response_events import ChoiceEvent
from inference.contracts import Event, Finish, Text
from inference.errors import UpstreamError
from inference.output.choices import merge
from tests.backends.remote.remotes import drain, proxy_request, remote_endpoint, text_of
from tests.backends.remote.upstream import TIMEOUT_SECONDS, Exchange, answering, chat, chunk, event, streaming
from tests.support.cancelling import Steps, cancel_repeatedly, start


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


# --- callers that leave


@pytest.mark.parametrize("choices", [1, 3])
@pytest.mark.parametrize("started", [False, True], ids=["before the response", "within the stream"])
@pytest.mark.parametrize("together", [False, True], ids=["apart", "merged"])
async def test_a_caller_that_is_cancelled_repeatedly_frees_the_only_connection(
    choices: int, started: bool, together: bool
) -> None:
    async def stall(exchange: Exchange) -> None:
        if started:
            await exchange.start()
            for index in range(choices):
                await exchange.send_chunk(event(chunk("a", index=index)))
        await exchange.disconnected()

    async with remote_endpoint(stall, connections=1, connect_seconds=0.5) as (endpoint, fake):
        for _ in range(3):
            streams = endpoint.generate(proxy_request(stream=True, choices=choices))
            received = asyncio.Event()

            async def read(source: AsyncGenerator[Any, None], received: asyncio.Event = received) -> None:
                async with aclosing(source) as events:
                    async for _ in events:
                        received.set()

            sources: list[AsyncGenerator[Any, None]] = [merge(streams)] if together else [*streams]
            readers = [asyncio.create_task(read(source)) for source in sources]
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await (received if started else fake.reached).wait()
            fake.reached.clear()
            await asyncio.gather(*map(cancel_repeatedly, readers))
            assert endpoint._transport._client()._transport._pool.connections == []  # type: ignore[attr-defined]


async def test_a_response_that_comes_as_its_caller_leaves_is_closed() -> None:
    """The response is there when its request is cancelled, in the same step of the loop."""
    async with remote_endpoint(streaming([chunk("a", reason="stop")]), connections=1) as (endpoint, _):
        client = endpoint._transport._client()
        send = client.send
        reader: list[asyncio.Task[list[Event]]] = []

        async def send_and_leave(*arguments: Any, **options: Any) -> Any:
            response = await send(*arguments, **options)
            reader[0].cancel()
            return response

        client.send = send_and_leave  # type: ignore[method-assign]
        (events,) = endpoint.generate(proxy_request(stream=True))
        reader.append(asyncio.create_task(drain(events)))
        await asyncio.wait(reader)
        assert reader[0].cancelled()
        assert client._transport._pool._requests == []  # type: ignore[attr-defined]


async def test_a_caller_that_leaves_between_two_events_frees_the_only_connection() -> None:
    async def talk(exchange: Exchange) -> None:
        await exchange.start()
        for _ in range(3):
            await exchange.send_chunk(event(chunk("a")))
        await exchange.disconnected()

    async with remote_endpoint(talk, connections=1) as (endpoint, _):
        (events,) = endpoint.generate(proxy_request(stream=True))
        received = asyncio.Event()

        async def read() -> None:
            async with aclosing(events):
                await anext(events)
                received.set()
                await asyncio.Event().wait()

        reader = asyncio.create_task(read())
        await received.wait()
        await cancel_repeatedly(reader)
        assert endpoint._transport._client()._transport._pool.connections == []  # type: ignore[attr-defined]


async def test_the_exchange_of_several_choices_ends_before_the_last_of_them() -> None:
    steps = Steps()

    async def exchange() -> AsyncGenerator[ChoiceEvent, None]:
        try:
            yield 0, Text("a")
            await asyncio.Event().wait()
        finally:
            await steps.run()

    first, _ = fan_out(exchange, 2)
    assert await anext(first) == Text("a")

    async def close() -> None:
        await first.aclose()

    await cancel_repeatedly(await start(close()))
    assert steps.noted == ["cleanup begins", "cleanup ends"]


@pytest.mark.parametrize("steps", range(1, 8))
async def test_requests_that_are_cancelled_before_they_are_sent_free_the_only_connection(steps: int) -> None:
    script = streaming([chunk("a", reason="stop")])
    async with remote_endpoint(script, connections=1, connect_seconds=1, retries=0) as (endpoint, _):
        readers = [
            asyncio.create_task(drain(endpoint.generate(proxy_request(stream=True))[0])) for _ in range(2)
        ]
        for _ in range(steps):
            await asyncio.sleep(0)
        for reader in readers:
            reader.cancel()
        await asyncio.wait(readers)
        assert text_of(await drain(endpoint.generate(proxy_request(stream=True))[0])) == "a"
