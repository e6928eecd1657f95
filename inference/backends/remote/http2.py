"""What httpcore leaves undone under HTTP/2.

httpcore 1.0 gives a stream up without a word to the server, which then goes on to generate for nobody; and
the data that still comes is never acknowledged, so that the connection's window shrinks with every stream
given up (`httpcore/_async/http2.py`, `_response_closed`). Here the server is sent RST_STREAM. The parts that
this needs are not public: where a later httpcore has them elsewhere, a warning is logged, and a test fails.

hpack writes every header, keys included, into its log at the level DEBUG: that is turned off here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import httpx

log = logging.getLogger(__name__)

STARTED = "http2.send_request_headers.started"

for _name in ("hpack.hpack", "hpack.table"):
    logging.getLogger(_name).addFilter(lambda record: record.levelno > logging.DEBUG)


class Http2Exchange:
    """One request on its way, which remembers its connection and stream; `trace` is httpcore's extension."""

    def __init__(self, client: httpx.AsyncClient, url: httpx.URL) -> None:
        self._client = client
        self._url = url
        self._place: tuple[Any, Any, int] | None = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event == STARTED:
            try:
                self._place = self._find(info["request"], info["stream_id"])
            except (AttributeError, KeyError, TypeError) as error:
                log.warning("HTTP/2 streams cannot be reset with this httpcore: %s", error)

    async def reset(self) -> None:
        """Tells the server that nobody waits; nothing where the stream is over or was none of HTTP/2."""
        place, self._place = self._place, None
        if place is None:
            return
        from h2.errors import ErrorCodes
        from h2.exceptions import ProtocolError

        connection, request, stream = place
        try:
            connection._h2_state.reset_stream(stream, ErrorCodes.CANCEL)
            await asyncio.shield(asyncio.ensure_future(connection._write_outgoing_data(request)))
        except ProtocolError:
            pass  # the stream has ended by itself
        except Exception as error:  # noqa: BLE001  the connection is gone, which is as good
            log.debug("A stream was not reset: %s", type(error).__name__)

    def _find(self, request: Any, stream: int) -> tuple[Any, Any, int]:
        transport: Any = self._client._transport_for_url(self._url)
        for waiting in transport._pool._requests:
            if waiting.request is request:
                return waiting.connection._connection, request, stream
        raise AttributeError("the pool does not know the request")
