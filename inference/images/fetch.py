"""One request's fetches: allowed hosts only, at checked addresses, bounded in bytes and redirects.

The connection goes to the very address that was checked, and so a name that changes its address between check
and connection (DNS rebinding) gains nothing; TLS and the `LocalHost` header are the name's. No cookies, no
credentials, no proxy of the environment, no compression. What the answer says of its type is not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING

from inference.images.addresses import FetchRefused, Resolve, literal, reachable, resolve
from inference.settings.images import PORTS, AllowedHost, normal_host

if TYPE_CHECKING:
    import ssl

    import httpx

LONGEST = 8_192
"""Characters of a URL."""
REDIRECTS = 3
ADDRESSES = 4
"""So many addresses of a name are tried."""
CONNECT_SECONDS = 3.0
"""For each address, so that one that is deaf leaves time for the next."""
ELSEWHERE = "The URL redirects to where pictures are not fetched from."
HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "model-inference"}


class Fetcher:
    """Fetches several files at once; an async context that holds the connections."""

    def __init__(
        self, sources: Sequence[AllowedHost], *, most: int, most_together: int, resolving: Resolve = resolve
    ) -> None:
        """`most` bounds the bytes of one file, `most_together` those of all."""
        self._sources = sources
        self._most = most
        self._left = most_together
        self._resolving = resolving
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def __aenter__(self) -> Fetcher:
        # In a thread: the first fetch imports the HTTP client and reads the certificates.
        self._transport = _transport(await asyncio.to_thread(certificates))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._transport is not None
        await self._transport.aclose()

    async def fetch(self, text: str) -> bytes:
        """The file at a URL. Raises `FetchRefused`. Whoever calls bounds the time."""
        url = _parsed(text)
        for hop in range(REDIRECTS + 1):
            source = self._listed(url)
            if source is None:
                raise FetchRefused(ELSEWHERE if hop else f"Pictures are not fetched from {_place(url)}.")
            async with self._answer(url, source) as answer:
                if not answer.has_redirect_location:
                    return await self._file(answer)
                url = _parsed(answer.headers["location"], url)
        raise FetchRefused(f"The URL redirects more than {REDIRECTS} times.")

    def _listed(self, url: httpx.URL) -> AllowedHost | None:
        host, port = normal_host(_host(url)), url.port or PORTS.get(url.scheme, 0)
        return next((source for source in self._sources if source.holds(url.scheme, host, port)), None)

    @asynccontextmanager
    async def _answer(self, url: httpx.URL, source: AllowedHost) -> AsyncIterator[httpx.Response]:
        import httpx

        try:
            answer = await self._send(url, source)
            try:
                yield answer
            finally:
                await answer.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            raise FetchRefused("The host did not give the file.") from None

    async def _send(self, url: httpx.URL, source: AllowedHost) -> httpx.Response:
        """The answer's head, of the first address that takes a connection."""
        import httpx

        assert self._transport is not None
        host, refused = _host(url), httpx.ConnectError("no address")
        own = literal(host) if source.is_address else None
        addresses = [own] if own else await reachable(host, source.port, self._resolving)
        for address in addresses[:ADDRESSES]:
            request = httpx.Request(
                "GET",
                url.copy_with(host=str(address), port=source.port, fragment=None),
                headers={**HEADERS, "Host": url.netloc.decode("ascii")},
                extensions={"sni_hostname": host, "timeout": {"connect": CONNECT_SECONDS}},
            )
            try:
                return await self._transport.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                refused = httpx.ConnectError(str(error))
        raise refused

    async def _file(self, answer: httpx.Response) -> bytes:
        if answer.status_code != 200:
            raise FetchRefused(f"The host answered {answer.status_code} instead of the file.")
        if answer.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise FetchRefused("The file came compressed, which was not asked for.")
        declared = answer.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._most:
            raise self._too_large()
        file = bytearray()
        async for piece in answer.aiter_raw():
            file += piece
            self._left -= len(piece)
            if len(file) > self._most:
                raise self._too_large()
            if self._left < 0:
                raise FetchRefused("The pictures of this request are too large together to be fetched.")
        return bytes(file)

    def _too_large(self) -> FetchRefused:
        return FetchRefused(f"The file is larger than {self._most} bytes, the most that is accepted.")


@cache
def certificates() -> ssl.SSLContext:
    """Who is trusted to vouch for a name: what httpx trusts, or the file that `SSL_CERT_FILE` names."""
    import httpx

    return httpx.create_ssl_context()


def _transport(context: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
    """Bare of what a client adds: cookies, credentials, redirects, proxies.

    It keeps no connection: the next one to the same address may be for another name.
    """
    import httpx

    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)


def _parsed(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """The URL in a text, or what a redirect's text means there. Raises `FetchRefused`."""
    import httpx

    if len(text) > LONGEST:
        raise FetchRefused(f"The URL is longer than {LONGEST} characters.")
    try:
        url = httpx.URL(text) if base is None else base.join(text)
        _host(url)
    except (httpx.InvalidURL, ValueError):
        raise FetchRefused("The URL cannot be read.") from None
    if url.scheme not in PORTS or not url.host:
        raise FetchRefused("Pictures are fetched over https only, or sent as data URLs.")
    if url.userinfo:
        raise FetchRefused("A URL with a user or a password is not fetched.")
    return url


def _host(url: httpx.URL) -> str:
    """As it is asked for: names of other scripts in their ASCII form."""
    return url.raw_host.decode("ascii").strip("[]")


def _place(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"
