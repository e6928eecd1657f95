"""Fetching, against a host on this machine; names are resolved by the tests."""

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

from inference.images import addresses
from inference.images import fetch as module
from inference.images.addresses import Address, FetchRefused
from inference.images.fetch import REDIRECTS, Fetcher
from inference.settings.images import AllowedHost
from tests.images.hosting import PICTURE, Host, hosting

MOST = 1_000_000
LOOPBACK = ip_address("127.0.0.1")
DEAF = ip_address("127.0.0.2")
"""Where nobody listens."""


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
    *allowed: str, most: int = MOST, together: int = MOST, to: Sequence[str] = ()
) -> AsyncIterator[Fetcher]:
    sources = [AllowedHost.read(entry) for entry in allowed]
    asking = resolving_to(*to)
    async with Fetcher(sources, most=most, most_together=together, resolving=asking) as fetcher:
        yield fetcher


async def refusal(url: str, *allowed: str, **options: Any) -> str:
    async with fetching(*allowed, **options) as fetcher:
        with pytest.raises(FetchRefused) as refused:
            await fetcher.fetch(url)
    return str(refused.value)


async def test_a_file_is_fetched_from_an_address_that_is_named(host: Host) -> None:
    async with fetching(host.url) as fetcher:
        assert await fetcher.fetch(f"{host.url}/red.png?size=8#top") == PICTURE
    [(path, headers)] = host.asked
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
async def test_other_urls_are_not_fetched(host: Host, url: str) -> None:
    await refusal(url.replace("{port}", str(host.port)), host.url)
    assert host.asked == []


async def test_a_name_goes_to_the_address_that_was_checked(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second resolution, by the connection, would fail: there is no such name."""
    monkeypatch.setattr(addresses, "is_public", lambda _: True)
    async with fetching(f"http://*.example.test:{host.port}", to=["127.0.0.1"]) as fetcher:
        assert await fetcher.fetch(f"http://a.example.test:{host.port}/red.png") == PICTURE
    assert host.asked[0][1]["Host"] == f"a.example.test:{host.port}"


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
async def test_a_name_that_leads_inside_is_refused(host: Host, addresses: list[str]) -> None:
    said = await refusal(
        f"http://inside.example:{host.port}/red.png", f"http://inside.example:{host.port}", to=addresses
    )
    assert said == "The host is not on the public internet."
    assert host.asked == []


async def test_a_name_nobody_knows() -> None:
    assert await refusal("https://nobody.example/a.png", "nobody.example") == "The host is not known."


async def test_the_next_address_is_tried(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "is_public", lambda _: True)
    async with fetching(f"http://two.example:{host.port}", to=[str(DEAF), str(LOOPBACK)]) as fetcher:
        assert await fetcher.fetch(f"http://two.example:{host.port}/red.png") == PICTURE


async def test_redirects_are_followed_within_the_list(host: Host) -> None:
    cookie = {"Set-Cookie": "session=1; Path=/"}
    host.pages["/a"] = (302, {"Location": "/b", **cookie}, b"")
    host.pages["/b"] = (307, {"Location": f"{host.url}/red.png"}, b"")
    async with fetching(host.url) as fetcher:
        assert await fetcher.fetch(f"{host.url}/a") == PICTURE
    assert host.paths == ["/a", "/b", "/red.png"]
    assert not any("Cookie" in headers for _, headers in host.asked)


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
async def test_redirects_out_of_the_list(host: Host, to: str) -> None:
    host.pages["/a"] = (301, {"Location": to.replace("{port}", str(host.port))}, b"")
    said = await refusal(f"{host.url}/a", host.url)
    assert said == "The URL redirects to where pictures are not fetched from."
    assert host.paths == ["/a"]


@pytest.mark.parametrize("to", ["file:///etc/passwd", "data:image/png;base64,AAAA", "http://u:p@127.0.0.1/"])
async def test_redirects_to_what_is_no_place(host: Host, to: str) -> None:
    host.pages["/a"] = (301, {"Location": to}, b"")
    said = await refusal(f"{host.url}/a", host.url)
    assert "passwd" not in said
    assert host.paths == ["/a"]


async def test_a_redirect_is_resolved_and_checked_anew(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first name is public, the second one leads inside."""
    host.pages["/a"] = (302, {"Location": f"http://two.example:{host.port}/red.png"}, b"")
    public = iter([True, False])
    monkeypatch.setattr(addresses, "is_public", lambda _: next(public))
    said = await refusal(
        f"http://one.example:{host.port}/a",
        f"http://one.example:{host.port}",
        f"http://two.example:{host.port}",
        to=["127.0.0.1"],
    )
    assert said == "The host is not on the public internet."
    assert host.paths == ["/a"]


async def test_redirects_end(host: Host) -> None:
    host.pages["/a"] = (302, {"Location": "/a"}, b"")
    assert "more than 3 times" in await refusal(f"{host.url}/a", host.url)
    assert len(host.asked) == REDIRECTS + 1


@pytest.mark.parametrize("status", [201, 204, 206, 304, 401, 403, 404, 500, 503])
async def test_other_answers(host: Host, status: int) -> None:
    host.pages["/a"] = (status, {}, b"")
    assert await refusal(f"{host.url}/a", host.url) == (f"The host answered {status} instead of the file.")


@pytest.mark.parametrize("path", ["/short", "/hangs-up", "/no-http"])
async def test_broken_answers(host: Host, path: str) -> None:
    assert await refusal(host.url + path, host.url) == "The host did not give the file."


async def test_of_a_body_longer_than_its_length_the_rest_is_not_read(host: Host) -> None:
    async with fetching(host.url) as fetcher:
        assert await fetcher.fetch(f"{host.url}/long") == PICTURE[: len(PICTURE) // 2]


async def test_an_endless_body_is_broken_off(host: Host) -> None:
    assert "larger than 1000000 bytes" in await refusal(f"{host.url}/endless", host.url)
    assert await asyncio.to_thread(host.broke_off.wait, 30)


async def test_a_declared_length_beyond_the_limit_is_not_begun(host: Host) -> None:
    assert "larger than 20 bytes" in await refusal(f"{host.url}/red.png", host.url, most=20)


async def test_together_files_are_bounded(host: Host) -> None:
    async with fetching(host.url, together=int(2.5 * len(PICTURE))) as fetcher:
        for _ in range(2):
            await fetcher.fetch(f"{host.url}/red.png")
        with pytest.raises(FetchRefused, match="too large together"):
            await fetcher.fetch(f"{host.url}/red.png")


async def test_compressed_bodies_are_not_unpacked(host: Host) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    host.pages["/bomb"] = (200, {"Content-Encoding": "gzip"}, bomb)
    assert "compressed" in await refusal(f"{host.url}/bomb", host.url)


async def test_the_environment_s_proxy_is_not_asked(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with fetching(host.url) as fetcher:
        assert await fetcher.fetch(f"{host.url}/red.png") == PICTURE


@pytest.mark.parametrize(("vouched", "fetched"), [("secure.example", True), ("other.example", False)])
async def test_over_tls_the_certificate_is_the_name_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vouched: str, fetched: bool
) -> None:
    """The connection is to an address; what is asked for (SNI) and verified is the name."""
    server, trusted = certified(vouched, tmp_path)
    monkeypatch.setattr(addresses, "is_public", lambda _: True)
    monkeypatch.setattr(module, "certificates", lambda: trusted)
    with hosting(server) as host:
        allowed, url = f"secure.example:{host.port}", f"https://secure.example:{host.port}/red.png"
        if fetched:
            async with fetching(allowed, to=["127.0.0.1"]) as fetcher:
                assert await fetcher.fetch(url) == PICTURE
        else:
            assert await refusal(url, allowed, to=["127.0.0.1"]) == "The host did not give the file."


def certified(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of its own making, and one that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
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
    pem = made.public_bytes(serialization.Encoding.PEM)
    file = folder / "server.pem"
    private = serialization.PrivateFormat.PKCS8
    file.write_bytes(
        pem + key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=pem.decode())
