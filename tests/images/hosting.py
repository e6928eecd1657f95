"""A host of images on 127.0.0.1, with pages that misbehave."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.http.pictures import png

IMAGE = png("red", 8)
ENDLESS = 400
"""Chunks of 64 KiB after which even the endless body ends, if the client does not stop it."""


@dataclass
class Host:
    """A running host: its pages, and path and headers of every request that it received."""

    url: str
    received: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    pages: dict[str, tuple[int, Mapping[str, str], bytes]] = field(default_factory=dict)
    release_slow: threading.Event = field(default_factory=threading.Event)
    """Set when the slow page may end."""
    client_disconnected: threading.Event = field(default_factory=threading.Event)
    """Set when a client disconnected during the endless page."""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.received]


class _Handler(BaseHTTPRequestHandler):
    host: Host
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        host = self.host
        host.received.append((self.path, dict(self.headers.items())))
        match self.path.split("?")[0]:
            case "/slow":
                self._head(200, {"Content-Length": str(len(IMAGE))})
                host.release_slow.wait(30)
            case "/endless":
                self._endless()
            case "/short":
                self._head(200, {"Content-Length": str(len(IMAGE) + 10)})
                self.wfile.write(IMAGE)
                self.close_connection = True
            case "/long":
                self._head(200, {"Content-Length": str(len(IMAGE) // 2)})
                self.wfile.write(IMAGE)
                self.close_connection = True
            case "/hangs-up":
                self.close_connection = True
            case "/no-http":
                self.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
                self.close_connection = True
            case page:
                status, headers, body = host.pages.get(page, (404, {}, b"<html>no such page</html>"))
                self._head(status, {"Content-Length": str(len(body)), **headers})
                self.wfile.write(body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def _endless(self) -> None:
        self._head(200, {"Connection": "close"})
        self.close_connection = True
        try:
            for _ in range(ENDLESS):
                self.wfile.write(bytes(65_536))
        except OSError:
            self.host.client_disconnected.set()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing on stderr."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore disconnected clients: they are under test."""


@contextmanager
def hosting(certificate: ssl.SSLContext | None = None) -> Iterator[Host]:
    """Serve a host for the length of a block; with a certificate over https."""

    class Handler(_Handler):
        pass

    with _Server(("127.0.0.1", 0), Handler) as server:
        if certificate is not None:
            server.socket = certificate.wrap_socket(server.socket, server_side=True)
        scheme = "http" if certificate is None else "https"
        Handler.host = host = Host(f"{scheme}://127.0.0.1:{server.server_port}")
        host.pages["/red.png"] = (200, {"Content-Type": "text/html"}, IMAGE)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield host
        finally:
            host.release_slow.set()
            server.shutdown()
            with suppress(RuntimeError):
                thread.join()
