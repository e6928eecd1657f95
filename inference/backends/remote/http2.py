"""The end of a request to an endpoint: the response is closed, an HTTP/2 stream reset, which httpcore omits.

httpcore 1.0 drops a stream without a message to the server, which then goes on to generate; and the data that
still arrives is never acknowledged, so that the connection's window shrinks with every stream that is dropped
(`httpcore/_async/http2.py`, `_response_closed`). Here the server is sent RST_STREAM. That needs parts of
httpcore that are not public: if a later release moves them, a warning is logged, and a test fails.

hpack writes every header, keys included, into its log at the level DEBUG: that is turned off here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import httpx

from inference.cancellation import finish
from inference.cancellation.connections import CLOSE_SECONDS, reclaim

log = logging.getLogger(__name__)

STARTED = "http2.send_request_headers.started"

for _name in ("hpack.hpack", "hpack.table"):
    logging.getLogger(_name).addFilter(lambda record: record.levelno > logging.DEBUG)


class Http2Exchange:
    """One request, with its response, and the connection and stream that carry it once it is sent."""

    def __init__(self, client: httpx.AsyncClient, url: httpx.URL) -> None:
        self._client = client
        self._url = url
        self._stream: tuple[Any, Any, int] | None = None
        """The connection, the request and the stream's id."""
        self.response: httpx.Response | None = None
        """The response of the last attempt, set as it comes: its caller may have left meanwhile."""

    async def aclose(self) -> None:
        """Close the response, or the connection of a request without one; reset a stream that has not ended.

        Takes at most `CLOSE_SECONDS`.
        """
        await finish(self._close())

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                try:
                    if self.response is not None:
                        await self.response.aclose()
                    else:
                        await reclaim(self._client, self._url)
                finally:
                    await self.reset()
        except TimeoutError:
            log.warning("A connection to %s could not be closed in time", self._url.host)

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember the stream when its request is sent; the callback of httpcore's extension `trace`."""
        if event == STARTED:
            try:
                self._stream = self._find(info["request"], info["stream_id"])
            except (AttributeError, KeyError, TypeError) as error:
                log.warning("HTTP/2 streams cannot be reset with this httpcore: %s", error)

    async def reset(self) -> None:
        """Send RST_STREAM, if the request has an HTTP/2 stream that has not ended."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        from h2.errors import ErrorCodes
        from h2.exceptions import ProtocolError

        connection, request, stream_id = stream
        try:
            connection._h2_state.reset_stream(stream_id, ErrorCodes.CANCEL)
            await connection._write_outgoing_data(request)
        except ProtocolError:
            pass  # The stream has ended by itself.
        except Exception as error:  # noqa: BLE001  without its connection the stream has ended as well
            log.debug("A stream was not reset: %s", type(error).__name__)

    def _find(self, request: Any, stream_id: int) -> tuple[Any, Any, int]:
        transport: Any = self._client._transport_for_url(self._url)
        for pooled in transport._pool._requests:
            if pooled.request is request:
                return pooled.connection._connection, request, stream_id
        raise AttributeError("the pool does not have the request")
