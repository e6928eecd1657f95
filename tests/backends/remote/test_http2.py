"""HTTP/2: requests share a connection, and a request that is cancelled is reset while the others go on."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset

from inference.backends.remote.endpoint import RemoteEndpoint
from inference.cancellation.connections import UninterruptedWrites
from inference.contracts import Text
from inference.errors import UpstreamTimeout
from tests.backends.remote.remotes import card_of, collect, drain, proxy_request, text_of
from tests.backends.remote.upstream import TIMEOUT_SECONDS, chunk, event

LAST = event(chunk("", reason="stop")) + b"data: [DONE]\n\n"


@dataclass(slots=True)
class Http2Endpoint:
    """An endpoint that starts every response with `a`; the test sends the rest."""

    url: str = ""
    connections: int = 0
    started: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    reset: asyncio.Queue[tuple[int, int]] = field(default_factory=asyncio.Queue)
    """Streams that the client reset, with its reason."""
    silent: bool = False
    headers: list[dict[str, str]] = field(default_factory=list)
    _connections: list[tuple[H2Connection, asyncio.StreamWriter]] = field(default_factory=list)

    def send(self, stream: int, data: bytes, *, last: bool = False) -> None:
        connection, writer = self._connections[-1]
        connection.send_data(stream, data, end_stream=last)
        writer.write(connection.data_to_send())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._connections.append((connection, writer))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(65536):
            for received in connection.receive_data(data):
                self._react(connection, received)
            writer.write(connection.data_to_send())

    def _react(self, connection: H2Connection, received: object) -> None:
        match received:
            case RequestReceived(headers=headers):
                self.headers.append(dict(headers or ()))  # type: ignore[arg-type]
            case DataReceived(flow_controlled_length=length, stream_id=stream):
                connection.acknowledge_received_data(length or 0, stream or 0)
            case StreamEnded(stream_id=int(stream)):
                if not self.silent:
                    connection.send_headers(stream, [(":status", "200"), ("x-ms-served-model", "h2")])
                    connection.send_data(stream, event(chunk("a")))
                self.started.put_nowait(stream)
            case StreamReset(stream_id=int(stream), error_code=code):
                self.reset.put_nowait((stream, int(code or 0)))


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The endpoint's certificate, trusted by the environment."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    today = datetime.now(UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "here.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.set_alpn_protocols(["h2"])
    return context


@asynccontextmanager
async def remote_endpoint(
    context: ssl.SSLContext, **card: Any
) -> AsyncIterator[tuple[RemoteEndpoint, Http2Endpoint]]:
    fake, tasks = Http2Endpoint(), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await fake.serve(reader, writer)
        except (asyncio.CancelledError, ConnectionError):
            pass  # the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    fake.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    endpoint = RemoteEndpoint(card_of(fake.url, **card))
    try:
        yield endpoint, fake
    finally:
        await endpoint.aclose()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def soon(queue: asyncio.Queue[int]) -> int:
    return await asyncio.wait_for(queue.get(), TIMEOUT_SECONDS)


async def test_streams_share_a_connection_and_are_reset_alone(certificate: ssl.SSLContext) -> None:
    async with remote_endpoint(certificate) as (endpoint, fake):
        (first,) = endpoint.generate(proxy_request(stream=True))
        (second,) = endpoint.generate(proxy_request(stream=True))
        assert await anext(first) == Text("a")
        assert await anext(second) == Text("a")
        one, two = await soon(fake.started), await soon(fake.started)

        await first.aclose()
        assert await asyncio.wait_for(fake.reset.get(), TIMEOUT_SECONDS) == (one, ErrorCodes.CANCEL)
        fake.send(two, event(chunk("b")) + LAST, last=True)
        assert text_of(await drain(second)) == "b"

        (third,) = endpoint.generate(proxy_request(stream=True))
        assert await anext(third) == Text("a")
        fake.send(await soon(fake.started), LAST, last=True)
        await drain(third)
        assert fake.connections == 1
        assert fake.reset.empty()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancelled_request_is_reset_before_its_response(
    certificate: ssl.SSLContext, stream: bool
) -> None:
    async with remote_endpoint(certificate) as (endpoint, fake):
        fake.silent = True
        task = asyncio.create_task(collect(endpoint, proxy_request(stream=stream)))
        number = await soon(fake.started)
        task.cancel()
        assert await asyncio.wait_for(fake.reset.get(), TIMEOUT_SECONDS) == (number, ErrorCodes.CANCEL)
        await asyncio.gather(task, return_exceptions=True)


async def test_the_timeout_of_one_stream_ends_that_stream_alone(certificate: ssl.SSLContext) -> None:
    async with remote_endpoint(certificate, timeout_seconds=0.3) as (endpoint, fake):
        (slow,) = endpoint.generate(proxy_request(stream=True))
        assert await anext(slow) == Text("a")
        number = await soon(fake.started)
        failed = asyncio.create_task(anext(slow))
        (other,) = endpoint.generate(proxy_request(stream=True))
        assert await anext(other) == Text("a")
        with pytest.raises(UpstreamTimeout):
            await failed
        assert (await asyncio.wait_for(fake.reset.get(), TIMEOUT_SECONDS))[0] == number
        fake.send(await soon(fake.started), LAST, last=True)
        await drain(other)
        assert fake.connections == 1


async def test_keys_are_not_in_the_log_of_header_compression(
    certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FAR_KEY", "a-very-secret-key")
    for name in ("hpack.hpack", "hpack.table", "httpcore.http2", "httpx"):
        caplog.set_level(logging.DEBUG, logger=name)
    caplog.set_level(logging.DEBUG)
    async with remote_endpoint(certificate, key_setting="FAR_KEY") as (endpoint, fake):
        (events,) = endpoint.generate(proxy_request(stream=True))
        await anext(events)
        await events.aclose()
    assert fake.headers[0]["api-key"] == "a-very-secret-key"
    assert any(record.name == "httpcore.http2" for record in caplog.records)
    assert "a-very-secret-key" not in caplog.text


async def test_another_layout_of_httpcore_is_logged_and_stops_nothing(
    certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from inference.backends.remote.http2 import Http2Exchange

    def find(*_: object) -> None:
        raise AttributeError("_pool")

    monkeypatch.setattr(Http2Exchange, "_find", find)
    async with remote_endpoint(certificate) as (endpoint, _):
        (events,) = endpoint.generate(proxy_request(stream=True))
        assert await anext(events) == Text("a")
        await events.aclose()
    assert "cannot be reset" in caplog.text


async def test_the_writes_of_a_connection_are_not_cancelled(certificate: ssl.SSLContext) -> None:
    async with remote_endpoint(certificate) as (endpoint, fake):
        (events,) = endpoint.generate(proxy_request(stream=True))
        assert await anext(events) == Text("a")
        (pooled,) = endpoint._transport._client()._transport_for_url(httpx.URL(fake.url))._pool.connections  # type: ignore[attr-defined]
        assert isinstance(pooled._connection._network_stream, UninterruptedWrites)
        await events.aclose()
