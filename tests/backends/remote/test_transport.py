"""Faults of the connection (refused, cut, stalled, slow), retries, pools and logs."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from inference.backends.remote import transport
from inference.backends.remote.endpoint import RemoteEndpoint
from inference.contracts import Finish, ProxyRequest, Text
from inference.errors import (
    Busy,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from tests.backends.remote.remotes import card_of, collect, drain, proxy_request, remote_endpoint, text_of
from tests.backends.remote.upstream import TIMEOUT_SECONDS, Exchange, answering, chat, chunk, event, streaming

FINE = answering(chat("fine"))
BOTH = pytest.mark.parametrize("stream", [False, True])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the pauses between attempts."""
    monkeypatch.setattr(transport, "BACKOFF_SECONDS", 0)


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def stalled(exchange: Exchange) -> None:
    """Send nothing until the client disconnects."""
    await exchange.disconnected()


@BOTH
async def test_a_closed_port_is_unreachable(stream: bool) -> None:
    endpoint = RemoteEndpoint(card_of(f"http://127.0.0.1:{closed_port()}"))
    with pytest.raises(UpstreamUnreachable) as caught:
        await collect(endpoint, proxy_request(stream=stream))
    assert caught.value.headers["Retry-After"]
    await endpoint.aclose()


@BOTH
async def test_silence_before_the_response_times_out_and_disconnects(stream: bool) -> None:
    disconnected = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.disconnected()
        disconnected.set()

    async with remote_endpoint(script, timeout_seconds=0.05, connect_seconds=0.05) as (endpoint, fake):
        with pytest.raises(UpstreamTimeout):
            await collect(endpoint, proxy_request(stream=stream))
        await asyncio.wait_for(disconnected.wait(), TIMEOUT_SECONDS)
    assert len(fake.received) == 1


async def test_silence_within_a_response_times_out() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send_chunk(event(chunk("a")))
        await exchange.disconnected()

    async with remote_endpoint(script, timeout_seconds=0.2) as (endpoint, _):
        (events,) = endpoint.generate(proxy_request(stream=True))
        assert await anext(events) == Text("a")
        with pytest.raises(UpstreamTimeout):
            await anext(events)


async def test_the_time_that_the_caller_takes_does_not_count() -> None:
    """The loop's clock advances between two chunks, as if the caller had slept."""
    async with remote_endpoint(streaming([chunk("a"), chunk("b", reason="stop")]), timeout_seconds=0.5) as (
        endpoint,
        _,
    ):
        (events,) = endpoint.generate(proxy_request(stream=True))
        assert await anext(events) == Text("a")
        loop = asyncio.get_running_loop()
        clock = loop.time
        loop.time = lambda: clock() + 3600  # type: ignore[method-assign]
        assert text_of(await drain(events)) == "b"


@BOTH
async def test_a_request_cut_before_its_response_is_not_retried(stream: bool) -> None:
    """The endpoint may have started: its tokens would be generated and billed twice."""

    async def script(exchange: Exchange) -> None:
        exchange.cut()

    async with remote_endpoint(script, FINE) as (endpoint, fake):
        with pytest.raises(UpstreamUnreachable):
            await collect(endpoint, proxy_request(stream=stream))
    assert len(fake.received) == 1


@pytest.mark.parametrize("politely", [False, True])
async def test_a_stream_that_is_cut_is_an_error(politely: bool) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send_chunk(event(chunk("a")))
        if politely:
            exchange.writer.close()
        else:
            exchange.cut()

    async with remote_endpoint(script, FINE) as (endpoint, fake):
        with pytest.raises(UpstreamError):
            await collect(endpoint, proxy_request(stream=True))
    assert len(fake.received) == 1


async def test_a_whole_response_that_is_cut_is_an_error() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"choices"')
        exchange.cut()

    async with remote_endpoint(script) as (endpoint, _):
        with pytest.raises(UpstreamError):
            await collect(endpoint, proxy_request())


async def test_another_protocol_than_http_is_unreachable() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(b"SSH-2.0-OpenSSH\r\n\r\n")
        exchange.cut()

    async with remote_endpoint(script) as (endpoint, _):
        with pytest.raises(UpstreamUnreachable):
            await collect(endpoint, proxy_request())


@BOTH
@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_endpoint_with_retry_after_is_retried(status: int, stream: bool) -> None:
    busy = answering({"error": {"code": "busy", "message": "Later."}}, status, {"Retry-After": "0"})
    fine = streaming([chunk("fine", reason="stop")]) if stream else FINE
    async with remote_endpoint(busy, busy, fine) as (endpoint, fake):
        assert text_of(await collect(endpoint, proxy_request(stream=stream))) == "fine"
    assert len(fake.received) == 3


async def test_retries_are_bounded() -> None:
    busy = answering({"error": {"code": "busy", "message": "Later."}}, 429, {"Retry-After": "0"})
    async with remote_endpoint(busy, retries=1) as (endpoint, fake):
        with pytest.raises(UpstreamRefused) as caught:
            await collect(endpoint, proxy_request())
    assert (caught.value.status, caught.value.code) == (429, "busy")
    assert caught.value.headers == {"Retry-After": "0"}
    assert len(fake.received) == 2


@pytest.mark.parametrize(
    ("status", "headers"),
    [(429, {}), (503, {}), (429, {"Retry-After": "3600"}), (500, {"Retry-After": "0"}), (502, {}), (504, {})],
)
async def test_other_errors_are_not_retried(status: int, headers: dict[str, str]) -> None:
    async with remote_endpoint(answering({}, status, headers), FINE) as (endpoint, fake):
        with pytest.raises(UpstreamRefused) as caught:
            await collect(endpoint, proxy_request())
    assert caught.value.status == status
    assert caught.value.headers == headers
    assert len(fake.received) == 1


async def test_cancelling_ends_the_pause_before_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "BACKOFF_SECONDS", 5)
    busy = answering({}, 429, {"Retry-After": "5"})
    async with remote_endpoint(busy, FINE) as (endpoint, fake):
        task = asyncio.create_task(collect(endpoint, proxy_request()))
        await asyncio.wait_for(fake.reached.wait(), TIMEOUT_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert len(fake.received) == 1


async def test_an_endless_error_body_is_not_read_to_its_end() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await exchange.send_chunk(b"x" * 65536)

    async with remote_endpoint(script) as (endpoint, _):
        with pytest.raises(UpstreamRefused):
            await collect(endpoint, proxy_request())


async def test_closing_a_stream_disconnects_at_once() -> None:
    disconnected = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.send_chunk(event(chunk("a")))
        await exchange.disconnected()
        disconnected.set()

    async with remote_endpoint(script) as (endpoint, _):
        (events,) = endpoint.generate(proxy_request(stream=True))
        assert await anext(events) == Text("a")
        await events.aclose()
        await asyncio.wait_for(disconnected.wait(), TIMEOUT_SECONDS)


@BOTH
async def test_cancelling_disconnects_at_once(stream: bool) -> None:
    reached, disconnected = asyncio.Event(), asyncio.Event()

    async def script(exchange: Exchange) -> None:
        reached.set()
        await exchange.disconnected()
        disconnected.set()

    async with remote_endpoint(script) as (endpoint, _):
        task = asyncio.create_task(collect(endpoint, proxy_request(stream=stream)))
        await reached.wait()
        task.cancel()
        await asyncio.wait_for(disconnected.wait(), TIMEOUT_SECONDS)
        await asyncio.gather(task, return_exceptions=True)


async def test_a_slow_caller_slows_the_endpoint_down() -> None:
    """Nothing is read ahead: what is unread fills the sockets, and then the endpoint cannot write."""
    piece, sent = event(chunk("x" * 60_000)), 0
    stuck = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        nonlocal sent
        exchange.writer.transport.set_write_buffer_limits(high=0)
        await exchange.start()
        while not stuck.is_set():
            try:
                async with asyncio.timeout(0.5):
                    await exchange.send_chunk(piece)
                sent += len(piece)
            except TimeoutError:
                stuck.set()
        await exchange.disconnected()

    async with remote_endpoint(script) as (endpoint, _):
        (events,) = endpoint.generate(proxy_request(stream=True))
        await anext(events)
        await asyncio.wait_for(stuck.wait(), TIMEOUT_SECONDS)
        # What the kernel's buffers of both ends hold, and not the 300 MB that a second could bring.
        assert sent < 32 * 1024 * 1024
        await events.aclose()


async def test_connections_are_kept_and_bounded() -> None:
    async with remote_endpoint(FINE) as (endpoint, fake):
        for _ in range(3):
            await collect(endpoint, proxy_request())
        assert fake.connections == 1

    async with remote_endpoint(stalled, connections=1, connect_seconds=0.05) as (endpoint, fake):
        first = asyncio.create_task(collect(endpoint, proxy_request()))
        await asyncio.wait_for(fake.reached.wait(), TIMEOUT_SECONDS)
        with pytest.raises(Busy):
            await collect(endpoint, proxy_request())
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_a_connection_that_the_endpoint_closed_is_not_reused() -> None:
    async def once(exchange: Exchange) -> None:
        await exchange.answer(200, chat("once"))
        exchange.writer.close()
        await exchange.writer.wait_closed()

    async with remote_endpoint(once, FINE) as (endpoint, fake):
        await collect(endpoint, proxy_request())
        assert text_of(await collect(endpoint, proxy_request())) == "fine"
        assert fake.connections == 2


def test_every_loop_has_its_own_connections() -> None:
    async def main(endpoint: RemoteEndpoint) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            from tests.backends.remote.upstream import upstream

            async with upstream(FINE) as fake:
                endpoint._transport._remote = card_of(fake.url).remote  # type: ignore[assignment]
                assert text_of(await collect(endpoint, proxy_request())) == "fine"
                await endpoint.aclose()

    endpoint = RemoteEndpoint(card_of("http://127.0.0.1:1"))
    for _ in range(2):
        asyncio.run(main(endpoint))


async def test_cookies_are_not_kept() -> None:
    """The cookies of a load balancer would bind all callers to one instance."""
    async with remote_endpoint(answering(chat("x"), headers={"Set-Cookie": "Affinity=1; Path=/"})) as (
        endpoint,
        fake,
    ):
        for _ in range(2):
            await collect(endpoint, proxy_request())
    assert "cookie" not in fake.received[1].headers


async def test_redirects_are_not_followed() -> None:
    away = answering({}, 307, {"Location": "http://127.0.0.1:1/"})
    async with remote_endpoint(away) as (endpoint, fake):
        with pytest.raises(UpstreamError, match="answered 307"):
            await collect(endpoint, proxy_request())
    assert len(fake.received) == 1


async def test_closing_the_endpoint_closes_its_connections() -> None:
    """The idle connection is closed by its loop soon after."""
    disconnected = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.answer(200, chat("x"))
        await exchange.disconnected()
        disconnected.set()

    async with remote_endpoint(script) as (endpoint, _):
        await collect(endpoint, proxy_request())
        endpoint.close()
        await asyncio.wait_for(disconnected.wait(), TIMEOUT_SECONDS)


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
    async with remote_endpoint(FINE, echo, answering({}, 401), dialect=dialect, key_setting="FAR_KEY") as (
        endpoint,
        fake,
    ):
        await collect(endpoint, proxy_request())
        with pytest.raises(UpstreamRefused) as caught:
            await collect(endpoint, proxy_request())
        with pytest.raises(UpstreamRefused):
            await collect(endpoint, proxy_request())
        assert key not in repr(endpoint._transport.__dict__)
    sent = fake.received[0].headers
    assert (sent.get("authorization"), sent.get("api-key")) == {
        "azure-ai-inference": (f"Bearer {key}", key),
        "azure-openai": (None, key),
        "openai": (f"Bearer {key}", None),
    }[dialect]
    assert "The key *** is odd." in caught.value.message
    assert len(caplog.records) > 10
    assert key not in caplog.text
    assert not any(key in str(vars(record)) for record in caplog.records)


async def test_the_served_model_and_ids_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="inference.upstream")
    reported = {"x-ms-served-model": "phi", "x-ms-request-id": "theirs-1"}
    async with remote_endpoint(answering(chat("x"), headers=reported)) as (endpoint, _):
        *_, finish = await collect(endpoint, proxy_request())
    assert isinstance(finish, Finish)
    assert "far: the endpoint answered 200 HTTP/1.1 served=phi id=our-id their-id=theirs-1" in caplog.text


def test_the_requests_of_these_tests_are_proxy_requests() -> None:
    assert isinstance(proxy_request(), ProxyRequest)
