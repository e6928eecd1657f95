"""Fetching of image URLs: allowed hosts only, at checked addresses, bounded in bytes and redirects.

The connection goes to the very address that was checked, and so a name that changes its address between check
and connection (DNS rebinding) gains nothing; TLS and the `Host` header are the name's. No cookies, no
credentials, no proxy of the environment, no compression. The content type of a response is not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING

from inference.cancellation import finish
from inference.images.addresses import FetchRefused, Resolver, ip_literal, public_addresses, resolve
from inference.settings.images import DEFAULT_PORTS, AllowedHost, normalize_host

if TYPE_CHECKING:
    import ssl

    import httpx

MAX_URL_CHARACTERS = 8_192
MAX_REDIRECTS = 3
MAX_ADDRESSES = 4
"""Addresses of one name that are tried."""
CONNECT_SECONDS = 3.0
"""The time for each address, so that one that does not answer leaves time for the next."""
HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "model-inference"}


class Fetcher:
    """The fetches of one request, several at once; an async context manager that owns their connections."""

    def __init__(
        self,
        allowed_hosts: Sequence[AllowedHost],
        *,
        max_bytes: int,
        max_total_bytes: int,
        resolver: Resolver = resolve,
    ) -> None:
        """Bound one file by `max_bytes` and all of them together by `max_total_bytes`."""
        self._allowed_hosts = allowed_hosts
        self._max_bytes = max_bytes
        self._bytes_left = max_total_bytes
        self._resolver = resolver
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def __aenter__(self) -> Fetcher:
        # In a thread: the first fetch imports the HTTP client and reads the certificates.
        self._transport = _transport(await asyncio.to_thread(ssl_context))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._transport is not None
        await finish(self._transport.aclose())

    async def fetch(self, url: str) -> bytes:
        """Return the file at a URL; the caller bounds the time. Raises `FetchRefused`."""
        target = _parse_url(url)
        for hop in range(MAX_REDIRECTS + 1):
            async with self._get(target, self._allowed_host(target, redirected=hop > 0)) as response:
                if not response.has_redirect_location:
                    return await self._read_file(response)
                target = _parse_url(response.headers["location"], target)
        raise FetchRefused(f"The URL redirects more than {MAX_REDIRECTS} times.")

    def _allowed_host(self, url: httpx.URL, *, redirected: bool) -> AllowedHost:
        """Return the entry of the allowed hosts that covers a URL. Raises `FetchRefused`."""
        host, port = normalize_host(_host(url)), url.port or DEFAULT_PORTS.get(url.scheme, 0)
        for allowed in self._allowed_hosts:
            if allowed.matches(url.scheme, host, port):
                return allowed
        if redirected:
            # The caller must not learn the target: it may be a name inside the host's own network.
            raise FetchRefused("The URL redirects to a host that images are not fetched from.")
        raise FetchRefused(f"Images are not fetched from {_origin(url)}; send the image as a data URL.")

    @asynccontextmanager
    async def _get(self, url: httpx.URL, allowed: AllowedHost) -> AsyncIterator[httpx.Response]:
        try:
            response = await self._send(url, allowed)
            try:
                yield response
            finally:
                await finish(response.aclose())
        except FetchRefused:
            raise
        except Exception:  # noqa: BLE001
            # Not only httpx's: those of ssl and anyio pass through it.
            raise FetchRefused("The host did not give the file.") from None

    async def _send(self, url: httpx.URL, allowed: AllowedHost) -> httpx.Response:
        """Return the response, its body unread, of the first address that accepts a connection."""
        import httpx

        assert self._transport is not None
        host, failure = _host(url), httpx.ConnectError("no address")
        literal = ip_literal(host) if allowed.is_address else None
        addresses = [literal] if literal else await public_addresses(host, allowed.port, self._resolver)
        for address in addresses[:MAX_ADDRESSES]:
            request = httpx.Request(
                "GET",
                url.copy_with(host=str(address), port=allowed.port, fragment=None),
                headers={**HEADERS, "Host": url.netloc.decode("ascii")},
                extensions={"sni_hostname": host, "timeout": {"connect": CONNECT_SECONDS}},
            )
            try:
                return await self._transport.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = httpx.ConnectError(str(error))
        raise failure

    async def _read_file(self, response: httpx.Response) -> bytes:
        if response.status_code != 200:
            raise FetchRefused(f"The host answered {response.status_code} instead of the file.")
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise FetchRefused("The host sent the file compressed, which is not accepted.")
        declared = response.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            raise self._too_large()
        file = bytearray()
        async for chunk in response.aiter_raw():
            file += chunk
            self._bytes_left -= len(chunk)
            if len(file) > self._max_bytes:
                raise self._too_large()
            if self._bytes_left < 0:
                raise FetchRefused("The images of this request are too large together to be fetched.")
        return bytes(file)

    def _too_large(self) -> FetchRefused:
        return FetchRefused(f"The file is larger than {self._max_bytes} bytes, the most that is accepted.")


@cache
def ssl_context() -> ssl.SSLContext:
    """Return a context that trusts httpx's certificate authorities, or those in the file `SSL_CERT_FILE`."""
    import httpx

    return httpx.create_ssl_context()


def _transport(context: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
    """Return a transport without the parts of a client: cookies, credentials, redirects, proxies.

    It keeps no connection: the next one to the same address may be for another name.
    """
    import httpx

    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)


def _parse_url(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """Parse a URL, or a redirect's location relative to `base`. Raises `FetchRefused`."""
    import httpx

    if len(text) > MAX_URL_CHARACTERS:
        raise FetchRefused(f"The URL is longer than {MAX_URL_CHARACTERS} characters.")
    try:
        url = httpx.URL(text) if base is None else base.join(text)
        _host(url)
    except (httpx.InvalidURL, ValueError):
        raise FetchRefused("The URL cannot be parsed.") from None
    if url.scheme not in DEFAULT_PORTS or not url.host:
        raise FetchRefused("Images are fetched over https only, or sent as data URLs.")
    if url.userinfo:
        raise FetchRefused("A URL with a user or a password is not fetched.")
    return url


def _host(url: httpx.URL) -> str:
    """Return the host as DNS has it: names of other scripts in their ASCII form."""
    return url.raw_host.decode("ascii").strip("[]")


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"
