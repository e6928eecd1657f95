"""A proxy before the blob server that injects the faults of networks and servers."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from urllib.parse import urlsplit

HOP = {"transfer-encoding", "connection", "keep-alive", "content-length", "date", "server"}


@dataclass(frozen=True, slots=True)
class StorageRequest:
    """A request: `number` counts those for bytes of blobs, from 0; listings have -1."""

    number: int
    path: str
    range: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A change of a response: another status, a body that ends early, or other bytes."""

    status: int = 0
    cut: int = -1
    spoil: bool = False


@dataclass(slots=True)
class Proxy:
    """A proxy whose `fault` decides on every request, None for no fault; a cleared `gate` blocks bytes."""

    url: str = ""
    fault: Callable[[StorageRequest], Fault | None] = lambda request: None
    requests: list[StorageRequest] = field(default_factory=list)
    gate: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)

    def note(self, path: str, requested_range: str) -> StorageRequest:
        with self.lock:
            reads = sum(request.number >= 0 for request in self.requests)
            request = StorageRequest(-1 if "comp=list" in path else reads, path, requested_range)
            self.requests.append(request)
            return request

    @property
    def ranges(self) -> list[str]:
        """The requested ranges of weights."""
        return [request.range for request in self.requests if ".onnx" in request.path]


@contextmanager
def proxy(target: str) -> Iterator[Proxy]:
    """Run a proxy before the server at a URL, for the length of a block."""
    made = Proxy()
    made.gate.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            request = made.note(self.path, self.headers.get("x-ms-range", ""))
            fault = made.fault(request)
            if request.number >= 0:
                made.gate.wait(60)
            if fault is not None and fault.status:
                self._answer(fault.status, {"x-ms-error-code": "ServerBusy"}, b"")
                return
            status, headers, body = _forwarded(target, self.path, dict(self.headers.items()))
            if fault is not None and fault.spoil and body:
                body = bytes([body[0] ^ 1]) + body[1:]
            self._answer(status, headers, body, fault.cut if fault is not None else -1)

        def _answer(self, status: int, headers: dict[str, str], body: bytes, cut: int = -1) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if cut < 0 else body[:cut])
            self.close_connection = cut >= 0

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _forwarded(target: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(target).netloc, timeout=60)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP}
        return answer.status, kept, answer.read()
    finally:
        connection.close()
