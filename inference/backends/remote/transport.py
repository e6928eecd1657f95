"""Requests over a pool of kept connections, HTTP/2 where the endpoint has it; when one is sent again.

A request is sent again only while it is certain that the endpoint did not begin it: the connection was never
made, or the answer is a 429 or 503 that says when to come back. An answer of 500 is none of these, nor is a
connection that broke after the request was written: its tokens may have been made and billed.

Back-pressure: nothing is read ahead. httpx asks the socket for the next piece when the piece before was
taken, so a slow caller fills the socket's buffers (of HTTP/2 the stream's window of 16 MiB) and then the
endpoint waits.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from weakref import WeakKeyDictionary

import httpx
import orjson

from inference import __version__
from inference.backends.remote.credential import Credential
from inference.backends.remote.http2 import Http2Exchange
from inference.backends.remote.request_body import address
from inference.backends.remote.upstream_errors import refused, seconds_of
from inference.cards.remote import RemoteCard
from inference.contracts import ProxyRequest
from inference.errors import Busy, UpstreamError, UpstreamTimeout, UpstreamUnreachable

log = logging.getLogger("inference.upstream")

KEPT_SECONDS = 60.0
"""How long an idle connection is kept; one that the endpoint closed meanwhile is noticed before its use."""
PATIENCE = 10.0
"""Seconds that waiting to send again may take together; who asks for more is told to the caller."""
BACKOFF = 0.2
LARGEST_REFUSAL = 256 * 1024
LARGEST_ANSWER = 256 * 1024 * 1024
"""Bytes that are read of a refusal, and of a whole answer."""
FIXED = {
    "Content-Type": "application/json",
    "Accept": "*/*",
    "Accept-Encoding": "identity",  # compression holds events back
    "User-Agent": f"model-inference/{__version__}",
}
NOT_BEGUN = frozenset({429, 503})


@lru_cache(maxsize=256)
def _url(text: str) -> httpx.URL:
    """Reading an address takes as long as writing the request."""
    return httpx.URL(text)


class Transport:
    """Sends to one endpoint. A pool belongs to the event loop that first used it."""

    def __init__(self, remote: RemoteCard, name: str, credential: Credential) -> None:
        """Reads the certificates: blocks for some 10 ms."""
        self._remote = remote
        self._name = name
        self._credential = credential
        secure = remote.url.startswith("https:")
        # An unused context of its own is made at once, where httpx would read every certificate for nothing.
        self._verify = httpx.create_ssl_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    async def whole(self, request: ProxyRequest, body: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
        """The JSON of an answer. Raises `errors.UpstreamError`, `errors.Busy` or `errors.ContentFiltered`."""
        async with self.answer(request, body, headers) as pieces:
            data = bytearray()
            async for piece in pieces:
                data += piece
                if len(data) > LARGEST_ANSWER:
                    raise UpstreamError(f"The endpoint of {self._name} sent more than 256 MiB.")
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            raise UpstreamError(f"The endpoint of {self._name} did not answer with JSON.") from None

    @asynccontextmanager
    async def answer(
        self, request: ProxyRequest, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> AsyncGenerator[AsyncGenerator[bytes, None], None]:
        """The pieces of an answer of 200; leaving the block before their end gives the exchange up at once.

        Raises as `whole`.
        """
        client = self._client()
        url = _url(address(self._remote, request.route, request.version))
        exchange = Http2Exchange(client, url)
        try:
            response = await self._sent(client, url, exchange, request, orjson.dumps(body), headers)
            pieces = self._pieces(response)
            try:
                yield pieces
            finally:
                await pieces.aclose()
                await response.aclose()
        finally:
            await exchange.reset()

    async def aclose(self) -> None:
        """Closes the pool of this loop."""
        if client := self._clients.pop(asyncio.get_running_loop(), None):
            await client.aclose()

    def close(self) -> None:
        """Has the pools closed by their loops; those of loops that have ended are gone with them."""
        for loop, client in list(self._clients.items()):
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(client.aclose(), loop)
        self._clients.clear()

    def _client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            most = self._remote.connections
            limits = httpx.Limits(
                max_connections=most, max_keepalive_connections=most, keepalive_expiry=KEPT_SECONDS
            )
            # No cookies: one caller's answer must not mark the next caller's request.
            client = self._clients[loop] = httpx.AsyncClient(
                http2=self._remote.url.startswith("https:"),
                verify=self._verify,
                limits=limits,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                trust_env=not self._remote.is_local,
                follow_redirects=False,
            )
        return client

    async def _sent(
        self,
        client: httpx.AsyncClient,
        url: httpx.URL,
        exchange: Http2Exchange,
        request: ProxyRequest,
        content: bytes,
        headers: Mapping[str, str],
    ) -> httpx.Response:
        """The head of an answer of 200."""
        left = PATIENCE
        for attempt in range(self._remote.retries + 1):
            last = attempt == self._remote.retries
            pause = BACKOFF * 2**attempt * random.uniform(0.5, 1)  # noqa: S311 - spreads, hides nothing
            try:
                response = await self._send(client, url, exchange, content, headers)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if last or pause > left:
                    raise self._unreachable(error) from None
            else:
                self._note(request, response)
                if response.status_code == 200:
                    return response
                wait = seconds_of(response.headers.get("retry-after", ""))
                if response.status_code not in NOT_BEGUN or wait is None or last or wait > left:
                    raise await self._refusal(response, request)
                await response.aclose()
                pause = max(pause, wait)
            left -= pause
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt answers or raises")

    async def _send(
        self,
        client: httpx.AsyncClient,
        url: httpx.URL,
        exchange: Http2Exchange,
        content: bytes,
        headers: Mapping[str, str],
    ) -> httpx.Response:
        remote = self._remote
        timeout = httpx.Timeout(None, connect=remote.connect_seconds, pool=remote.connect_seconds)
        extensions: dict[str, Any] = {"timeout": timeout.as_dict()}
        if url.scheme == "https":
            extensions["trace"] = exchange.trace
        # Made without the client's own headers, which it would merge anew for every request.
        given = {**FIXED, **headers, **await self._credential.headers()}
        request = httpx.Request("POST", url, headers=given, content=content, extensions=extensions)
        try:
            # A reading timeout of httpx would end every stream of an HTTP/2 connection, so it is ours.
            async with asyncio.timeout(remote.timeout_seconds + remote.connect_seconds):
                return await client.send(request, stream=True)
        except httpx.PoolTimeout:
            raise Busy(f"All connections to the endpoint of {self._name} are in use.") from None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise
        except TimeoutError:
            raise self._silent() from None
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    async def _pieces(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """The body as it comes. Raises `UpstreamTimeout`, and `UpstreamError` when it breaks off."""
        pieces = response.aiter_bytes()
        try:
            while True:
                # Around each piece, because the pieces may be taken by different tasks; and the time that
                # the caller takes between them does not count.
                async with asyncio.timeout(self._remote.timeout_seconds):
                    piece = await anext(pieces, None)
                if piece is None:
                    return
                yield piece
        except TimeoutError:
            raise self._silent() from None
        except httpx.HTTPError as error:
            log.warning("%s: the answer broke off: %s", self._name, type(error).__name__)
            raise UpstreamError(f"The answer of the endpoint of {self._name} broke off.") from None

    async def _refusal(self, response: httpx.Response, request: ProxyRequest) -> Exception:
        data = bytearray()
        pieces = self._pieces(response)
        try:
            async for piece in pieces:
                data += piece
                if len(data) > LARGEST_REFUSAL:
                    break
        except UpstreamError:
            pass  # the status is news enough
        finally:
            await pieces.aclose()
            await response.aclose()
        if response.status_code == 401:
            self._credential.forget()
        text = self._credential.redact(data.decode("utf-8", "replace"))
        return refused(response.status_code, response.headers, text, self._name, request.route)

    def _note(self, request: ProxyRequest, response: httpx.Response) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        theirs = response.headers
        log.info(
            "%s asked its endpoint: %d %s served=%s id=%s their-id=%s",
            self._name,
            response.status_code,
            response.http_version,
            theirs.get("x-ms-served-model", "-")[:128],
            request.headers.get("x-ms-client-request-id", "-"),
            (theirs.get("x-ms-request-id") or theirs.get("x-request-id") or "-")[:128],
        )

    def _unreachable(self, error: httpx.HTTPError) -> UpstreamUnreachable:
        log.warning("%s: the endpoint cannot be reached: %s", self._name, type(error).__name__)
        return UpstreamUnreachable(f"The endpoint of {self._name} cannot be reached.")

    def _silent(self) -> UpstreamTimeout:
        seconds = self._remote.timeout_seconds
        return UpstreamTimeout(f"The endpoint of {self._name} said nothing for {seconds:g} seconds.")
