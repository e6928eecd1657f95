"""Faults on the way: refused, cut, stalled, slow; what is sent again, and what never is; who is told."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import pytest

from inference.backends.remote import RemoteEndpoint, transport
from inference.contracts import Finish, ProxyRequest, Text
from inference.errors import (
    Busy,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from tests.backends.remote.remotes import asked, card_of, everything, far, said, text_of
from tests.backends.remote.upstream import PATIENCE, Exchange, answering, chat, chunk, event, streaming

FINE = answering(chat("fine"))
BOTH = pytest.mark.parametrize("stream", [False, True])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for between attempts."""
    monkeypatch.setattr(transport, "BACKOFF", 0)


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def stalled(exchange: Exchange) -> None:
    """Says nothing until the client is gone."""
    await exchange.hung_up()


@BOTH
async def test_nobody_there(stream: bool) -> None:
    endpoint = RemoteEndpoint(card_of(f"http://127.0.0.1:{closed_port()}"))
    with pytest.raises(UpstreamUnreachable) as caught:
        await said(endpoint, asked(stream=stream))
    assert caught.value.headers["Retry-After"]
    await endpoint.aclose()


@BOTH
async def test_silence_before_the_answer_times_out_and_hangs_up(stream: bool) -> None:
    gone = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.hung_up()
        gone.set()

    async with far(script, timeout_seconds=0.05, connect_seconds=0.05) as (endpoint, fake):
        with pytest.raises(UpstreamTimeout):
            await said(endpoint, asked(stream=stream))
        await asyncio.wait_for(gone.wait(), PATIENCE)
    assert len(fake.asked) == 1


async def test_silence_within_an_answer_times_out() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.piece(event(chunk("a")))
        await exchange.hung_up()

    async with far(script, timeout_seconds=0.2) as (endpoint, _):
        (events,) = endpoint.generate(asked(stream=True))
        assert await anext(events) == Text("a")
        with pytest.raises(UpstreamTimeout):
            await anext(events)


async def test_the_time_that_the_caller_takes_is_not_silence() -> None:
    """Between two pieces the loop's clock is moved on, as if the caller had slept."""
    async with far(streaming([chunk("a"), chunk("b", reason="stop")]), timeout_seconds=0.5) as (endpoint, _):
        (events,) = endpoint.generate(asked(stream=True))
        assert await anext(events) == Text("a")
        loop = asyncio.get_running_loop()
        clock = loop.time
        loop.time = lambda: clock() + 3600  # type: ignore[method-assign]
        assert text_of(await everything(events)) == "b"


@BOTH
async def test_a_cut_before_the_answer_is_not_repeated(stream: bool) -> None:
    """The endpoint may have begun: its tokens would be made and billed twice."""

    async def script(exchange: Exchange) -> None:
        exchange.cut()

    async with far(script, FINE) as (endpoint, fake):
        with pytest.raises(UpstreamUnreachable):
            await said(endpoint, asked(stream=stream))
    assert len(fake.asked) == 1


@pytest.mark.parametrize("politely", [False, True])
async def test_a_cut_within_a_stream_is_a_failure(politely: bool) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.piece(event(chunk("a")))
        if politely:
            exchange.writer.close()
        else:
            exchange.cut()

    async with far(script, FINE) as (endpoint, fake):
        with pytest.raises(UpstreamError):
            await said(endpoint, asked(stream=True))
    assert len(fake.asked) == 1


async def test_a_cut_within_a_whole_answer_is_a_failure() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"choices"')
        exchange.cut()

    async with far(script) as (endpoint, _):
        with pytest.raises(UpstreamError):
            await said(endpoint, asked())


async def test_garbage_instead_of_http() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(b"SSH-2.0-OpenSSH\r\n\r\n")
        exchange.cut()

    async with far(script) as (endpoint, _):
        with pytest.raises(UpstreamUnreachable):
            await said(endpoint, asked())


@BOTH
@pytest.mark.parametrize("status", [429, 503])
async def test_who_says_when_is_asked_again(status: int, stream: bool) -> None:
    busy = answering({"error": {"code": "busy", "message": "Later."}}, status, {"Retry-After": "0"})
    fine = streaming([chunk("fine", reason="stop")]) if stream else FINE
    async with far(busy, busy, fine) as (endpoint, fake):
        assert text_of(await said(endpoint, asked(stream=stream))) == "fine"
    assert len(fake.asked) == 3


async def test_but_not_for_ever() -> None:
    busy = answering({"error": {"code": "busy", "message": "Later."}}, 429, {"Retry-After": "0"})
    async with far(busy, retries=1) as (endpoint, fake):
        with pytest.raises(UpstreamRefused) as caught:
            await said(endpoint, asked())
    assert (caught.value.status, caught.value.code) == (429, "busy")
    assert caught.value.headers == {"Retry-After": "0"}
    assert len(fake.asked) == 2


@pytest.mark.parametrize(
    ("status", "headers"),
    [(429, {}), (503, {}), (429, {"Retry-After": "3600"}), (500, {"Retry-After": "0"}), (502, {}), (504, {})],
)
async def test_who_does_not_is_not(status: int, headers: dict[str, str]) -> None:
    async with far(answering({}, status, headers), FINE) as (endpoint, fake):
        with pytest.raises(UpstreamRefused) as caught:
            await said(endpoint, asked())
    assert caught.value.status == status
    assert caught.value.headers == headers
    assert len(fake.asked) == 1


async def test_a_caller_who_leaves_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause before another attempt ends with the caller."""
    monkeypatch.setattr(transport, "BACKOFF", 5)
    busy = answering({}, 429, {"Retry-After": "5"})
    async with far(busy, FINE) as (endpoint, fake):
        task = asyncio.create_task(said(endpoint, asked()))
        await asyncio.wait_for(fake.reached.wait(), PATIENCE)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert len(fake.asked) == 1


async def test_an_endless_refusal_is_not_read_to_its_end() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await exchange.piece(b"x" * 65536)

    async with far(script) as (endpoint, _):
        with pytest.raises(UpstreamRefused):
            await said(endpoint, asked())


async def test_closing_a_stream_hangs_up_at_once() -> None:
    gone = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.piece(event(chunk("a")))
        await exchange.hung_up()
        gone.set()

    async with far(script) as (endpoint, _):
        (events,) = endpoint.generate(asked(stream=True))
        assert await anext(events) == Text("a")
        await events.aclose()
        await asyncio.wait_for(gone.wait(), PATIENCE)


@BOTH
async def test_cancelling_hangs_up_at_once(stream: bool) -> None:
    reached, gone = asyncio.Event(), asyncio.Event()

    async def script(exchange: Exchange) -> None:
        reached.set()
        await exchange.hung_up()
        gone.set()

    async with far(script) as (endpoint, _):
        task = asyncio.create_task(said(endpoint, asked(stream=stream)))
        await reached.wait()
        task.cancel()
        await asyncio.wait_for(gone.wait(), PATIENCE)
        await asyncio.gather(task, return_exceptions=True)


async def test_a_slow_caller_holds_the_endpoint_up() -> None:
    """Nothing is read ahead: what is unread fills the sockets, and then the endpoint cannot write."""
    piece, sent = event(chunk("x" * 60_000)), 0
    stuck = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        nonlocal sent
        exchange.writer.transport.set_write_buffer_limits(high=0)
        await exchange.begin()
        while not stuck.is_set():
            try:
                async with asyncio.timeout(0.5):
                    await exchange.piece(piece)
                sent += len(piece)
            except TimeoutError:
                stuck.set()
        await exchange.hung_up()

    async with far(script) as (endpoint, _):
        (events,) = endpoint.generate(asked(stream=True))
        await anext(events)
        await asyncio.wait_for(stuck.wait(), PATIENCE)
        # What the kernel's buffers of both ends hold, and not the 300 MB that a second could bring.
        assert sent < 32 * 1024 * 1024
        await events.aclose()


async def test_connections_are_kept_and_bounded() -> None:
    async with far(FINE) as (endpoint, fake):
        for _ in range(3):
            await said(endpoint, asked())
        assert fake.connections == 1

    async with far(stalled, connections=1, connect_seconds=0.05) as (endpoint, fake):
        first = asyncio.create_task(said(endpoint, asked()))
        await asyncio.wait_for(fake.reached.wait(), PATIENCE)
        with pytest.raises(Busy):
            await said(endpoint, asked())
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_a_connection_that_was_closed_meanwhile_is_not_used() -> None:
    async def once(exchange: Exchange) -> None:
        await exchange.answer(200, chat("once"))
        exchange.writer.close()
        await exchange.writer.wait_closed()

    async with far(once, FINE) as (endpoint, fake):
        await said(endpoint, asked())
        assert text_of(await said(endpoint, asked())) == "fine"
        assert fake.connections == 2


def test_every_loop_has_its_own_connections() -> None:
    async def main(endpoint: RemoteEndpoint) -> None:
        async with asyncio.timeout(PATIENCE):
            from tests.backends.remote.upstream import upstream

            async with upstream(FINE) as fake:
                endpoint._transport._remote = card_of(fake.url).remote  # type: ignore[assignment]
                assert text_of(await said(endpoint, asked())) == "fine"
                await endpoint.aclose()

    endpoint = RemoteEndpoint(card_of("http://127.0.0.1:1"))
    for _ in range(2):
        asyncio.run(main(endpoint))


async def test_cookies_are_not_kept() -> None:
    """Those of a balancer would bind all callers to one instance."""
    async with far(answering(chat("x"), headers={"Set-Cookie": "Affinity=1; Path=/"})) as (endpoint, fake):
        for _ in range(2):
            await said(endpoint, asked())
    assert "cookie" not in fake.asked[1].headers


async def test_redirects_are_not_followed() -> None:
    away = answering({}, 307, {"Location": "http://127.0.0.1:1/"})
    async with far(away) as (endpoint, fake):
        with pytest.raises(UpstreamError, match="answered 307"):
            await said(endpoint, asked())
    assert len(fake.asked) == 1


async def test_closing_hangs_up() -> None:
    """The connection that is kept is closed by its loop soon after."""
    gone = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.answer(200, chat("x"))
        await exchange.hung_up()
        gone.set()

    async with far(script) as (endpoint, _):
        await said(endpoint, asked())
        endpoint.close()
        await asyncio.wait_for(gone.wait(), PATIENCE)


@pytest.mark.parametrize("dialect", ["azure-ai-inference", "azure-openai", "openai"])
async def test_keys_go_to_the_endpoint_and_nowhere_else(
    dialect: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = "a-very-secret-key"
    monkeypatch.setenv("FAR_KEY", key)
    for name in ("httpx", "httpcore", "httpcore.connection", "hpack", "hpack.hpack", "inference", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    caplog.set_level(logging.DEBUG)
    echo = answering({"error": {"message": f"The key {key} is odd."}}, 400)
    async with far(FINE, echo, answering({}, 401), dialect=dialect, key_setting="FAR_KEY") as (
        endpoint,
        fake,
    ):
        await said(endpoint, asked())
        with pytest.raises(UpstreamRefused) as caught:
            await said(endpoint, asked())
        with pytest.raises(UpstreamRefused):
            await said(endpoint, asked())
        assert key not in repr(endpoint._transport.__dict__)
    sent = fake.asked[0].headers
    assert (sent.get("authorization"), sent.get("api-key")) == {
        "azure-ai-inference": (f"Bearer {key}", key),
        "azure-openai": (None, key),
        "openai": (f"Bearer {key}", None),
    }[dialect]
    assert "The key *** is odd." in caught.value.message
    assert len(caplog.records) > 10
    assert key not in caplog.text
    assert not any(key in str(vars(record)) for record in caplog.records)


async def test_who_answered_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="inference.upstream")
    told = {"x-ms-served-model": "phi", "x-ms-request-id": "theirs-1"}
    async with far(answering(chat("x"), headers=told)) as (endpoint, _):
        *_, finish = await said(endpoint, asked())
    assert isinstance(finish, Finish)
    assert "far asked its endpoint: 200 HTTP/1.1 served=phi id=our-id their-id=theirs-1" in caplog.text


class TestSeveralChoices:
    @staticmethod
    def several(*texts: str) -> list[Any]:
        said = [chunk(text, index=number) for text in texts for number in range(3)]
        return said + [chunk("", index=number, reason="stop") for number in range(3)]

    @BOTH
    async def test_each_gets_its_own(self, stream: bool) -> None:
        script = streaming(self.several("a", "b")) if stream else answering(chat("0ab", "1ab", "2ab"))
        async with far(script) as (endpoint, fake):
            streams = endpoint.generate(asked(choices=3, stream=stream, n=3))
            found = await asyncio.gather(*(everything(one) for one in streams))
        assert len(fake.asked) == 1
        assert [text_of(one) for one in found] == (["ab"] * 3 if stream else ["0ab", "1ab", "2ab"])
        assert all(isinstance(one[-1], Finish) for one in found)

    async def test_one_that_is_closed_does_not_end_the_others(self) -> None:
        go_on = asyncio.Event()

        async def script(exchange: Exchange) -> None:
            await exchange.begin()
            for number in range(3):
                await exchange.piece(event(chunk("a", index=number)))
            await go_on.wait()
            for body in self.several(*"b" * 200):
                await exchange.piece(event(body))
            await exchange.piece(b"data: [DONE]\n\n")
            await exchange.end()

        async with far(script) as (endpoint, _):
            streams = endpoint.generate(asked(choices=3, stream=True))
            assert [await anext(one) for one in streams] == [Text("a")] * 3
            await streams[1].aclose()
            go_on.set()
            first, third = await asyncio.gather(everything(streams[0]), everything(streams[2]))
        assert text_of(first) == text_of(third) == "b" * 200

    async def test_closing_all_hangs_up(self) -> None:
        gone = asyncio.Event()

        async def script(exchange: Exchange) -> None:
            await exchange.begin()
            for number in range(3):
                await exchange.piece(event(chunk("a", index=number)))
            await exchange.hung_up()
            gone.set()

        async with far(script) as (endpoint, _):
            streams = endpoint.generate(asked(choices=3, stream=True))
            assert [await anext(one) for one in streams] == [Text("a")] * 3
            for one in streams[:2]:
                await one.aclose()
            assert not gone.is_set()
            await streams[2].aclose()
            await asyncio.wait_for(gone.wait(), PATIENCE)

    async def test_a_failure_reaches_every_choice(self) -> None:
        async def script(exchange: Exchange) -> None:
            await exchange.begin()
            await exchange.piece(event(chunk("a", index=0)))
            exchange.cut()

        async with far(script) as (endpoint, _):
            streams = endpoint.generate(asked(choices=3, stream=True))
            ends = await asyncio.gather(*(everything(one) for one in streams), return_exceptions=True)
        assert [type(end) for end in ends] == [UpstreamError] * 3

    async def test_the_slowest_holds_the_reading_up(self) -> None:
        """Of a choice that nobody takes only so many events are kept."""
        from inference.backends.remote.fan_out import AHEAD, fan

        given = 0

        async def exchange() -> Any:
            nonlocal given
            while True:
                given += 1
                yield given % 2, Text("x")

        fast, slow = fan(exchange, 2)
        await anext(slow)
        taken = asyncio.create_task(everything(fast))
        for _ in range(AHEAD * 20):
            await asyncio.sleep(0)
        assert given <= 2 * AHEAD + 5
        taken.cancel()
        await asyncio.gather(taken, return_exceptions=True)
        await slow.aclose()


async def test_nothing_is_sent_before_the_first_event_is_asked_for() -> None:
    async with far(FINE) as (endpoint, fake):
        streams: Any = endpoint.generate(asked()) + endpoint.generate(asked(choices=2))
        for _ in range(10):
            await asyncio.sleep(0)
        assert fake.connections == 0
        for one in streams:
            await one.aclose()


def test_a_relayed_request_is_told_by_what_it_is() -> None:
    assert isinstance(asked(), ProxyRequest)
