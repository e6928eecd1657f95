"""HTTP requests to one endpoint over a pool of connections, by HTTP/2 if the endpoint has it, with retries.

A request is sent again only while it is certain that the endpoint did not start it: the connection was never
made, or the response is a 429 or 503 with a Retry-After. A response of 500 is none of these, nor is a
connection that broke after the request was written: its tokens may have been generated and billed.

Back-pressure: nothing is read ahead. httpx reads the next chunk from the socket once the chunk before was
taken, so a slow caller fills the socket's buffers (the window of 16 MiB of an HTTP/2 stream) and then the
endpoint waits.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from weakref import WeakKeyDictionary

import httpx
import orjson

from inference import __version__
from inference.backends.remote.credential import Credential
from inference.backends.remote.http2 import Http2Exchange
from inference.backends.remote.request_body import endpoint_url
from inference.backends.remote.upstream_errors import error_of_response, retry_after_seconds
from inference.cancellation import finish, within
from inference.cancellation.connections import protect
from inference.cards.remote import RemoteCard
from inference.contracts import ProxyRequest
from inference.errors import Busy, UpstreamError, UpstreamTimeout, UpstreamUnreachable

log = logging.getLogger("inference.upstream")

KEEPALIVE_SECONDS = 60.0
"""The time that an idle connection is kept; one that the endpoint has closed is noticed before it is used."""
MAX_RETRY_SECONDS = 10.0
"""The most that all pauses before retries may take; a longer Retry-After is returned to the caller."""
BACKOFF_SECONDS = 0.2
MAX_ERROR_BYTES = 256 * 1024
MAX_RESPONSE_BYTES = 256 * 1024 * 1024
"""Bytes that are read of an error, and of a whole response."""
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "*/*",
    "Accept-Encoding": "identity",  # Compression would hold events back.
    "User-Agent": f"model-inference/{__version__}",
}
TRY_AGAIN = {"Retry-After": "2"}
"""The header of a refusal after which the same request may succeed."""
RETRYABLE_STATUSES = frozenset({429, 503})


@lru_cache(maxsize=256)
def _url(text: str) -> httpx.URL:
    """Return a parsed URL, cached because parsing takes as long as writing the request.

    Raises `httpx.InvalidURL`, or `UnicodeError` for a host that is no name.
    """
    url = httpx.URL(text)
    if not url.host:
        raise httpx.InvalidURL("no host")
    return url


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


@dataclass(frozen=True, slots=True)
class OutboundRequest:
    """A request as it is written but for its credentials, with the client and the exchange that carry it."""

    source: ProxyRequest
    url: httpx.URL
    headers: Mapping[str, str]
    content: bytes
    client: httpx.AsyncClient
    exchange: Http2Exchange


class Transport:
    """An HTTP client of one endpoint, with a pool of connections for each event loop."""

    def __init__(self, remote: RemoteCard, name: str, credential: Credential) -> None:
        """Read the certificates, which blocks for some 10 ms."""
        self._remote = remote
        self._name = name
        self._credential = credential
        secure = remote.url.startswith("https:")
        # Without TLS, an empty context keeps httpx from reading every certificate for nothing.
        self._verify = httpx.create_ssl_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    async def fetch(self, request: ProxyRequest, body: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
        """Return the JSON of a whole response.

        Raises:
            errors.UpstreamError: The endpoint refuses, fails, or cannot be reached.
            errors.ContentFiltered: The endpoint's content filter refuses.
            errors.Busy: All connections are in use.
        """
        async with self.stream(request, body, headers) as chunks:
            data = bytearray()
            async for chunk in chunks:
                data += chunk
                if len(data) > MAX_RESPONSE_BYTES:
                    raise UpstreamError(f"The endpoint of {self._name} sent more than 256 MiB.")
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            raise UpstreamError(f"The endpoint of {self._name} did not answer with JSON.") from None

    @asynccontextmanager
    async def stream(
        self, request: ProxyRequest, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> AsyncGenerator[AsyncGenerator[bytes, None], None]:
        """Yield the chunks of a response of status 200; leaving the block early cancels the exchange.

        Raises the errors of `fetch`.
        """
        client = self._client()
        url = self._endpoint(request)
        exchange = Http2Exchange(client, url)
        try:
            outbound = OutboundRequest(request, url, headers, orjson.dumps(body), client, exchange)
            response = await self._send_with_retries(outbound)
            async with aclosing(self._chunks(response)) as chunks:
                yield chunks
        finally:
            await exchange.aclose()

    def _endpoint(self, request: ProxyRequest) -> httpx.URL:
        """Return the URL of a request. Raises `UpstreamUnreachable` for a name that DNS cannot have."""
        try:
            return _url(endpoint_url(self._remote, request.route, request.version))
        except (httpx.InvalidURL, UnicodeError) as error:
            raise self._unreachable(error) from None

    async def aclose(self) -> None:
        """Close the pool of this event loop."""
        if client := self._clients.pop(asyncio.get_running_loop(), None):
            await client.aclose()

    def close(self) -> None:
        """Have every running event loop close its pool; those of ended loops are gone with them."""
        for loop, client in list(self._clients.items()):
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(client.aclose(), loop)
        self._clients.clear()

    def _client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            connections = self._remote.connections
            limits = httpx.Limits(
                max_connections=connections,
                max_keepalive_connections=connections,
                keepalive_expiry=KEEPALIVE_SECONDS,
            )
            # No cookies: one caller's response must not mark the next caller's request.
            client = self._clients[loop] = protect(
                httpx.AsyncClient(
                    http2=self._remote.url.startswith("https:"),
                    verify=self._verify,
                    limits=limits,
                    cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                    trust_env=not self._remote.is_local,
                    follow_redirects=False,
                )
            )
        return client

    async def _send_with_retries(self, outbound: OutboundRequest) -> httpx.Response:
        """Return a response of status 200, its body unread."""
        seconds_left = MAX_RETRY_SECONDS
        for attempt in range(self._remote.retries + 1):
            last = attempt == self._remote.retries
            # The jitter needs no cryptographic randomness.
            pause = BACKOFF_SECONDS * 2**attempt * random.uniform(0.5, 1)  # noqa: S311
            try:
                response = await self._send(outbound)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if last or pause > seconds_left:
                    raise self._unreachable(error) from None
            else:
                self._log_response(outbound.source, response)
                if response.status_code == 200:
                    return response
                wait = retry_after_seconds(response.headers.get("retry-after", ""))
                retryable = response.status_code in RETRYABLE_STATUSES and not last
                if not retryable or wait is None or wait > seconds_left:
                    raise await self._read_error(response, outbound.source)
                await finish(response.aclose())
                pause = max(pause, wait)
            seconds_left -= pause
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def _send(self, outbound: OutboundRequest) -> httpx.Response:
        """Send once. Raises httpx's errors of connecting, and the errors of `fetch` for all others."""
        request = await self._build(outbound)
        remote = self._remote
        try:
            # The read timeout of httpx would end every stream of an HTTP/2 connection, so it is not used.
            return await within(
                remote.timeout_seconds + remote.connect_seconds, self._respond(outbound, request)
            )
        except httpx.PoolTimeout:
            raise Busy(f"All connections to the endpoint of {self._name} are in use.") from None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise
        except TimeoutError:
            raise self._timed_out() from None
        except Exception as error:  # noqa: BLE001
            # Not only httpx's: those of ssl, anyio and h2 pass through it, such as that of a bad TLS record.
            raise self._unreachable(error) from None

    async def _respond(self, outbound: OutboundRequest, request: httpx.Request) -> httpx.Response:
        response = outbound.exchange.response = await outbound.client.send(request, stream=True)
        return response

    async def _build(self, outbound: OutboundRequest) -> httpx.Request:
        seconds = self._remote.connect_seconds
        extensions: dict[str, Any] = {"timeout": httpx.Timeout(None, connect=seconds, pool=seconds).as_dict()}
        if outbound.url.scheme == "https":
            extensions["trace"] = outbound.exchange.trace
        # Built without the client's default headers, which it would merge anew for every request.
        headers = {**HEADERS, **outbound.headers, **await self._credential.headers()}
        return httpx.Request(
            "POST", outbound.url, headers=headers, content=outbound.content, extensions=extensions
        )

    async def _chunks(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes. Raises `UpstreamTimeout`, and `UpstreamError` if it is cut off."""
        chunks = response.aiter_bytes()
        try:
            while True:
                # One limit a chunk, because the time that the caller takes between them does not count.
                chunk = await within(self._remote.timeout_seconds, _next(chunks))
                if chunk is None:
                    return
                yield chunk
        except TimeoutError:
            raise self._timed_out() from None
        except Exception as error:  # noqa: BLE001
            log.warning("%s: the answer broke off: %s", self._name, type(error).__name__)
            message = f"The answer of the endpoint of {self._name} broke off."
            raise UpstreamError(message, headers=TRY_AGAIN) from None

    async def _read_error(self, response: httpx.Response, request: ProxyRequest) -> Exception:
        data = bytearray()
        try:
            async with aclosing(self._chunks(response)) as chunks:
                async for chunk in chunks:
                    data += chunk
                    if len(data) > MAX_ERROR_BYTES:
                        break
        except UpstreamError:
            pass  # The status alone is reported.
        if response.status_code == 401:
            self._credential.discard_token()
        text = self._credential.redact(data.decode("utf-8", "replace"))
        return error_of_response(response.status_code, response.headers, text, self._name, request.route)

    def _log_response(self, request: ProxyRequest, response: httpx.Response) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        headers = response.headers
        log.info(
            "%s: the endpoint answered %d %s served=%s id=%s their-id=%s",
            self._name,
            response.status_code,
            response.http_version,
            headers.get("x-ms-served-model", "-")[:128],
            request.headers.get("x-ms-client-request-id", "-"),
            (headers.get("x-ms-request-id") or headers.get("x-request-id") or "-")[:128],
        )

    def _unreachable(self, error: Exception) -> UpstreamUnreachable:
        log.warning("%s: the endpoint cannot be reached: %s", self._name, type(error).__name__)
        return UpstreamUnreachable(f"The endpoint of {self._name} cannot be reached.")

    def _timed_out(self) -> UpstreamTimeout:
        seconds = self._remote.timeout_seconds
        return UpstreamTimeout(f"The endpoint of {self._name} sent nothing for {seconds:g} seconds.")
