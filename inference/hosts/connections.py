"""The local host's connections: how many there are, and how long each may take for what it does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from inference.api.http_types import NOT_STORED, SAFE_HEADERS, refusal_response
from inference.contracts import ApiStyle
from inference.errors import ApiError, InvalidHttp, RequestTimedOut, TooManyConnections

log = logging.getLogger(__name__)

RESERVED_FILES = 128
"""Files that connections leave to models, logs and requests to other endpoints."""
OUT_OF_FILES = "socket.accept() out of system resource"
"""The message of asyncio's error when no file is left for a connection; it tries again after a second."""
QUIET_SECONDS = 60.0
"""The shortest time between two warnings about the file table."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits of one host's connections."""

    connections: int
    header_seconds: float
    idle_seconds: float


def most_connections(wanted: int) -> int:
    """Return how many connections this process has files for, at most the wanted number."""
    try:
        import resource
    except ImportError:  # Windows, whose sockets are no files
        return wanted
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(files - RESERVED_FILES, files // 2))


class LimitedConnection(H11Protocol):
    """A connection of uvicorn's that is closed when its client takes too long.

    uvicorn itself closes it after `timeout_keep_alive` seconds between two requests. The time for a body is
    limited where it is read; here it is for bodies that are read by no one, after an early refusal.
    """

    def __init__(self, *arguments: Any, limits: ConnectionLimits, **named: Any) -> None:
        """Take uvicorn's own arguments, and the limits."""
        super().__init__(*arguments, **named)
        self._limits = limits
        self._receiving = _Timer()
        self._sending = _Timer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time for the first head, or refuse one connection too many."""
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._end(TooManyConnections("The endpoint has as many connections as it takes."))
        else:
            self._receiving.start(self._limits.header_seconds, self._on_slow_head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._receiving.stop()
        self._sending.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read, and start or stop the time for a head."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._receiving.start(self._limits.header_seconds, self._on_slow_head, again=False)
        elif not self._is_unread():
            self._receiving.stop()

    def on_response_complete(self) -> None:
        """Go on as uvicorn does; a client that still sends a body has the time of a head left for it."""
        super().on_response_complete()
        if self._is_unread():
            self._receiving.start(self._limits.header_seconds, self.transport.close)
        elif self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._unset_keepalive_if_required()
            self._receiving.start(self._limits.header_seconds, self._on_slow_head)

    def pause_writing(self) -> None:
        """Start the time in which the client must take something of its answer."""
        super().pause_writing()
        self._sending.start(self._limits.idle_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop that time."""
        super().resume_writing()
        self._sending.stop()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no HTTP with a refusal in this API's form."""
        self._end(InvalidHttp(msg))

    def _is_unread(self) -> bool:
        """Return True if the answer is out before its request has come whole."""
        answered = self.cycle is not None and self.cycle.response_complete
        return answered and self.conn.their_state is h11.SEND_BODY

    def _on_slow_head(self) -> None:
        """Refuse the part of a head that came; where nothing came there is no one to answer."""
        if not self.conn.trailing_data[0]:
            self.transport.close()
            return
        seconds = self._limits.header_seconds
        self._end(RequestTimedOut(f"The head of the request did not come whole within {seconds:g} seconds."))

    def _end(self, error: ApiError) -> None:
        self._receiving.stop()
        self.transport.write(refusal_bytes(error))
        self.transport.close()


class _Timer:
    """One call in the future, or none."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float, call: Callable[[], None], *, again: bool = True) -> None:
        """Make the call after that time; with `again` false a call that is planned already stays."""
        if self._handle is not None:
            if not again and self._handle.when() > asyncio.get_running_loop().time():
                return
            self._handle.cancel()
        self._handle = asyncio.get_running_loop().call_later(seconds, call)

    def stop(self) -> None:
        """Plan no call."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


def refusal_bytes(error: ApiError) -> bytes:
    """Return the whole HTTP response of a refusal, for connections without a request."""
    response = refusal_response(error, ApiStyle.NATIVE)
    assert isinstance(response.body, bytes)
    headers = {
        **SAFE_HEADERS,
        **NOT_STORED,
        **response.headers,
        "Content-Type": response.media_type,
        "Content-Length": str(len(response.body)),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + response.body


class LoopErrors:
    """The handler of an event loop's errors, which warns of a full file table once in a while."""

    def __init__(self) -> None:
        """Warn the first time."""
        self._warned = -QUIET_SECONDS

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log an error; one about the file table in a line, and not again soon."""
        if context.get("message") != OUT_OF_FILES:
            loop.default_exception_handler(context)
            return
        now = time.monotonic()
        if now - self._warned >= QUIET_SECONDS:
            self._warned = now
            log.warning("No file is left for a new connection (ulimit -n); clients wait until others leave.")
