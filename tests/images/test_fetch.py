"""Fetching from a host on 127.0.0.1; names are resolved by the tests."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from inference.images import addresses, fetch
from inference.images.addresses import Address, FetchRefused
from inference.images.fetch import MAX_REDIRECTS, Fetcher
from inference.settings.images import AllowedHost
from tests.images.hosting import IMAGE, Host, hosting
from tests.support.cancelling import Steps, cancel_repeatedly
from tests.support.network_faults import (
    BODY_FAULTS,
    ENCODING_FAULTS,
    HEAD_FAULTS,
    Tls,
    faulty_server,
    trusted_certificate,
)

MAX_BYTES = 1_000_000
LOOPBACK = ip_address("127.0.0.1")
UNREACHABLE = ip_address("127.0.0.2")
"""An address on which no server listens."""


@pytest.fixture
def host() -> Iterator[Host]:
    with hosting() as host:
        yield host


def resolving_to(*addresses: str) -> Callable[[str, int], asyncio.Future[Sequence[Address]]]:
    async def resolve(_name: str, _port: int) -> Sequence[Address]:
        return [ip_address(address) for address in addresses]

    return resolve  # type: ignore[return-value]


@asynccontextmanager
async def fetching(
    *allowed: str, max_bytes: int = MAX_BYTES, total: int = MAX_BYTES, to: Sequence[str] = ()
) -> AsyncIterator[Fetcher]:
    hosts = [AllowedHost.parse(entry) for entry in allowed]
    resolver = resolving_to(*to)
    async with Fetcher(hosts, max_bytes=max_bytes, max_total_bytes=total, resolver=resolver) as fetcher:
        yield fetcher


async def refusal(url: str, *allowed: str, **options: Any) -> str:
    async with fetching(*allowed, **options) as fetcher:
        with pytest.raises(FetchRefused) as refused:
            await fetcher.fetch(url)
    return str(refused.value)


async def test_a_file_is_fetched_from_an_allowed_address(host: Host) -> None:
    async with fetching(host.url) as fetcher:
        assert await fetcher.fetch(f"{host.url}/red.png?size=8#top") == IMAGE
    [(path, headers)] = host.received
    assert path == "/red.png?size=8"
    assert headers["Host"] == f"127.0.0.1:{host.port}"
    assert headers["Accept-Encoding"] == "identity"
    assert not {"Cookie", "Authorization", "Referer"} & headers.keys()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/red.png",
        "https://127.0.0.1:{port}/red.png",
        "http://localhost:{port}/red.png",
        "http://127.1:{port}/red.png",
        "http://2130706433:{port}/red.png",
        "http://0x7f000001:{port}/red.png",
        "http://[::1]:{port}/red.png",
        "http://[::ffff:127.0.0.1]:{port}/red.png",
        "http://127.0.0.1.:{port}/red.png",
        "http://example.com:{port}@127.0.0.2/red.png",
        "http://user:secret@127.0.0.1:{port}/red.png",
        "http://127.0.0.1:{port}\\@example.com/red.png",
        "ftp://127.0.0.1:{port}/red.png",
        "file:///etc/passwd",
        "//127.0.0.1:{port}/red.png",
        "gopher://127.0.0.1:{port}/",
        "127.0.0.1:{port}/red.png",
        "http://",
        "http:///red.png",
        "http://[::1/red.png",
        "http://127.0.0.1:99999/",
        "",
        "red.png",
        "http://127.0.0.1:{port}/" + "a" * 10_000,
    ],
)
async def test_urls_of_other_hosts_and_schemes_are_not_fetched(host: Host, url: str) -> None:
    await refusal(url.replace("{port}", str(host.port)), host.url)
    assert host.received == []


async def test_a_name_is_fetched_from_the_address_that_was_checked(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second resolution, by the connection, would fail: there is no such name."""
    monkeypatch.setattr(addresses, "is_public", lambda _: True)
    async with fetching(f"http://*.example.test:{host.port}", to=["127.0.0.1"]) as fetcher:
        assert await fetcher.fetch(f"http://a.example.test:{host.port}/red.png") == IMAGE
    assert host.received[0][1]["Host"] == f"a.example.test:{host.port}"


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["10.1.2.3"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
    ],
)
async def test_a_name_with_a_private_address_is_refused(host: Host, addresses: list[str]) -> None:
    message = await refusal(
        f"http://inside.example:{host.port}/red.png", f"http://inside.example:{host.port}", to=addresses
    )
    assert message == "The host is not on the public internet."
    assert host.received == []


async def test_an_unknown_name_is_refused() -> None:
    assert await refusal("https://unknown.example/a.png", "unknown.example") == "The host is not known."


async def test_an_unreachable_address_is_followed_by_the_next(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "is_public", lambda _: True)
    async with fetching(f"http://two.example:{host.port}", to=[str(UNREACHABLE), str(LOOPBACK)]) as fetcher:
        assert await fetcher.fetch(f"http://two.example:{host.port}/red.png") == IMAGE


async def test_redirects_to_allowed_hosts_are_followed_without_cookies(host: Host) -> None:
    cookie = {"Set-Cookie": "session=1; Path=/"}
    host.pages["/a"] = (302, {"Location": "/b", **cookie}, b"")
    host.pages["/b"] = (307, {"Location": f"{host.url}/red.png"}, b"")
    async with fetching(host.url) as fetcher:
        assert await fetcher.fetch(f"{host.url}/a") == IMAGE
    assert host.paths == ["/a", "/b", "/red.png"]
    assert not any("Cookie" in headers for _, headers in host.received)


@pytest.mark.parametrize(
    "to",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://localhost:{port}/red.png",
        "http://127.0.0.2:{port}/red.png",
        "https://127.0.0.1:{port}/red.png",
        "//evil.example/red.png",
    ],
)
async def test_redirects_to_other_hosts_are_refused(host: Host, to: str) -> None:
    host.pages["/a"] = (301, {"Location": to.replace("{port}", str(host.port))}, b"")
    message = await refusal(f"{host.url}/a", host.url)
    assert message == "The URL redirects to a host that images are not fetched from."
    assert host.paths == ["/a"]


@pytest.mark.parametrize("to", ["file:///etc/passwd", "data:image/png;base64,AAAA", "http://u:p@127.0.0.1/"])
async def test_redirects_to_other_schemes_and_credentials_are_refused(host: Host, to: str) -> None:
    host.pages["/a"] = (301, {"Location": to}, b"")
    message = await refusal(f"{host.url}/a", host.url)
    assert "passwd" not in message
    assert host.paths == ["/a"]


async def test_the_name_in_a_redirect_is_resolved_and_checked(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first name is public, the second one private."""
    host.pages["/a"] = (302, {"Location": f"http://two.example:{host.port}/red.png"}, b"")
    public = iter([True, False])
    monkeypatch.setattr(addresses, "is_public", lambda _: next(public))
    message = await refusal(
        f"http://one.example:{host.port}/a",
        f"http://one.example:{host.port}",
        f"http://two.example:{host.port}",
        to=["127.0.0.1"],
    )
    assert message == "The host is not on the public internet."
    assert host.paths == ["/a"]


async def test_endless_redirects_are_refused(host: Host) -> None:
    host.pages["/a"] = (302, {"Location": "/a"}, b"")
    assert "more than 3 times" in await refusal(f"{host.url}/a", host.url)
    assert len(host.received) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("status", [201, 204, 206, 304, 401, 403, 404, 500, 503])
async def test_other_statuses_than_200_are_refused(host: Host, status: int) -> None:
    host.pages["/a"] = (status, {}, b"")
    assert await refusal(f"{host.url}/a", host.url) == (f"The host answered {status} instead of the file.")


@pytest.mark.parametrize("path", ["/short", "/hangs-up", "/no-http"])
async def test_broken_responses_are_refused(host: Host, path: str) -> None:
    assert await refusal(host.url + path, host.url) == "The host did not give the file."


async def test_a_body_is_read_up_to_its_declared_length(host: Host) -> None:
    async with fetching(host.url) as fetcher:
        assert await fetcher.fetch(f"{host.url}/long") == IMAGE[: len(IMAGE) // 2]


async def test_an_endless_body_is_disconnected(host: Host) -> None:
    assert "larger than 1000000 bytes" in await refusal(f"{host.url}/endless", host.url)
    assert await asyncio.to_thread(host.client_disconnected.wait, 30)


async def test_a_declared_length_beyond_the_limit_is_refused(host: Host) -> None:
    assert "larger than 20 bytes" in await refusal(f"{host.url}/red.png", host.url, max_bytes=20)


async def test_the_files_of_one_request_are_bounded_together(host: Host) -> None:
    async with fetching(host.url, total=int(2.5 * len(IMAGE))) as fetcher:
        for _ in range(2):
            await fetcher.fetch(f"{host.url}/red.png")
        with pytest.raises(FetchRefused, match="too large together"):
            await fetcher.fetch(f"{host.url}/red.png")


async def test_compressed_bodies_are_refused(host: Host) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    host.pages["/bomb"] = (200, {"Content-Encoding": "gzip"}, bomb)
    assert "compressed" in await refusal(f"{host.url}/bomb", host.url)


async def test_the_proxy_of_the_environment_is_not_used(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with fetching(host.url) as fetcher:
        assert await fetcher.fetch(f"{host.url}/red.png") == IMAGE


@pytest.mark.parametrize(("certified_name", "fetched"), [("secure.example", True), ("other.example", False)])
async def test_the_certificate_is_verified_by_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certified_name: str, fetched: bool
) -> None:
    """The connection is to an address; the name is sent (SNI) and verified."""
    server, trusted = certified(certified_name, tmp_path)
    monkeypatch.setattr(addresses, "is_public", lambda _: True)
    monkeypatch.setattr(fetch, "ssl_context", lambda: trusted)
    with hosting(server) as host:
        allowed, url = f"secure.example:{host.port}", f"https://secure.example:{host.port}/red.png"
        if fetched:
            async with fetching(allowed, to=["127.0.0.1"]) as fetcher:
                assert await fetcher.fetch(url) == IMAGE
        else:
            assert await refusal(url, allowed, to=["127.0.0.1"]) == "The host did not give the file."


def certified(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context with a self-signed certificate, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file = folder / "server.pem"
    private = serialization.PrivateFormat.PKCS8
    file.write_bytes(
        pem + key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=pem.decode())


FAULTS = {**HEAD_FAULTS, **BODY_FAULTS, **ENCODING_FAULTS}


@pytest.mark.parametrize("name", FAULTS)
async def test_every_fault_of_http_is_a_refusal(name: str) -> None:
    with faulty_server(FAULTS[name]) as server:
        await refusal(f"{server.url}/red.png", server.url)


async def test_every_fault_of_tls_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = Tls(trusted_certificate(tmp_path, monkeypatch))
    fetch.ssl_context.cache_clear()
    try:
        for name, fault in {**tls.handshake, **tls.head, **tls.body}.items():
            with faulty_server(fault, tls=True) as server:
                message = await refusal(f"{server.url}/red.png", server.url)
            assert message == "The host did not give the file.", name
    finally:
        fetch.ssl_context.cache_clear()


async def test_an_error_of_any_kind_below_the_client_is_a_refusal(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError("below the HTTP client")

    monkeypatch.setattr("httpx.AsyncHTTPTransport.handle_async_request", fails)
    assert await refusal(f"{host.url}/red.png", host.url) == "The host did not give the file."


async def test_a_response_is_closed_to_its_end_although_the_fetch_is_cancelled_repeatedly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps, reached = Steps(), asyncio.Event()

    class Response:
        has_redirect_location = False
        aclose = steps.run

    async def send(*_: Any) -> Response:
        return Response()

    async def read(*_: Any) -> bytes:
        reached.set()
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr(Fetcher, "_send", send)
    monkeypatch.setattr(Fetcher, "_read_file", read)
    fetcher = Fetcher([AllowedHost.parse("here.example")], max_bytes=MAX_BYTES, max_total_bytes=MAX_BYTES)
    fetching = asyncio.create_task(fetcher.fetch("https://here.example/image.png"))
    await reached.wait()
    await cancel_repeatedly(fetching)
    assert steps.noted == ["cleanup begins", "cleanup ends"]
