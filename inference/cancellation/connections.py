"""HTTP connections that cancelled requests neither lose nor break.

httpx over httpcore 1.0.9 and anyio 4 has three such faults, which are mended here for every client. It needs
parts of httpcore that are not public: if a later release moves them, a warning is logged, and a test fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from ssl import SSLContext
from typing import Any

import httpcore
import httpx

from inference.cancellation import cancel, finish

log = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
"""The most that the end of a request may take: a host that reads nothing must not hold it up."""


def protect(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Return a client that no request has used, with connections that survive cancelled requests."""
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx.AsyncHTTPTransport):
            try:
                pool: Any = transport._pool
                pool._network_backend = PatientBackend(pool._network_backend)
            except AttributeError as error:
                log.warning("Connections cannot be protected with this httpcore: %s", error)
    return client


class PatientBackend(httpcore.AsyncNetworkBackend):
    """A network whose connections are made to their end, and closed then if their request was cancelled.

    anyio drops a connection that is made as its task is cancelled, and the loop keeps it open for ever.
    """

    def __init__(self, backend: httpcore.AsyncNetworkBackend) -> None:
        self._backend = backend
        self._abandoned: set[asyncio.Task[None]] = set()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Return a connection to a host."""
        connecting = asyncio.ensure_future(
            self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        )
        try:
            return UninterruptedWrites(await asyncio.shield(connecting))
        except asyncio.CancelledError:
            closing = asyncio.create_task(_close_once_made(connecting))
            self._abandoned.add(closing)
            closing.add_done_callback(self._abandoned.discard)
            raise

    async def sleep(self, seconds: float) -> None:
        """Wait, between the attempts of a connection."""
        await self._backend.sleep(seconds)


async def _close_once_made(connecting: asyncio.Future[httpcore.AsyncNetworkStream]) -> None:
    await asyncio.wait({connecting})
    if not connecting.cancelled() and connecting.exception() is None:
        await connecting.result().aclose()


class UninterruptedWrites(httpcore.AsyncNetworkStream):
    """A connection whose writes run to their end, although the request that writes is cancelled.

    The streams of an HTTP/2 connection share its writes, and one that is cancelled breaks TLS for all of them
    (`anyio`, `TLSStream._flush_write_bio`).
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  httpcore's signature
        """Read some bytes; may be cancelled."""
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Write all bytes; a cancellation is raised once they are written, or after `CLOSE_SECONDS`."""
        writing = asyncio.create_task(self._stream.write(buffer, timeout))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await finish(_end(writing))
            raise

    async def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Return the connection under TLS."""
        return UninterruptedWrites(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    async def aclose(self) -> None:
        """Close the connection."""
        await finish(self._stream.aclose())

    def get_extra_info(self, info: str) -> Any:
        """Return a detail of the connection."""
        return self._stream.get_extra_info(info)


async def _end(writing: asyncio.Task[None]) -> None:
    await asyncio.wait({writing}, timeout=CLOSE_SECONDS)
    await cancel(writing)


async def reclaim(client: httpx.AsyncClient, url: httpx.URL) -> None:
    """Close the connections that cancelled requests left behind in the pool for a URL.

    httpcore 1.0.9 forgets a connection that was assigned to a request when that is cancelled before it is
    written: neither idle nor closed, it takes a place of the pool for ever (encode/httpcore#1093).
    """
    pool: Any = getattr(client._transport_for_url(url), "_pool", None)
    try:
        lost = [] if pool is None else _lost_connections(pool)
        if lost:
            pool._connections = [connection for connection in pool._connections if connection not in lost]
            await finish(pool._close_connections([*lost, *pool._assign_requests_to_connections()]))
    except AttributeError as error:
        log.warning("Connections cannot be reclaimed with this httpcore: %s", error)


def _lost_connections(pool: Any) -> list[Any]:
    """Return the connections of a pool that no request uses and none can."""
    used = [request.connection for request in pool._requests]
    return [
        connection
        for connection in pool._connections
        if connection not in used
        and not (connection.is_idle() or connection.is_closed() or connection.is_available())
    ]
