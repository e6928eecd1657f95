"""Servers on 127.0.0.1 that break the protocols below HTTP: TLS records, frames, encodings, connections."""

from __future__ import annotations

import gzip
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hpack import Encoder

SECONDS = 10
"""The longest that a server waits for its client."""
Connection = socket.socket
Fault = Callable[[Connection], None]
"""Plays one connection; it starts before the TLS handshake, if there is any."""


def trusted_certificate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a certificate and key for 127.0.0.1, which every client of the process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    today = datetime.now(UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "here.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(file))
    return file


@dataclass(slots=True)
class FaultyServer:
    """A running server; its connections play the faults in order, and the last one again and again."""

    faults: Sequence[Fault]
    url: str = ""
    connections: int = 0
    _threads: list[threading.Thread] = field(default_factory=list)

    def accept(self, listener: socket.socket) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            fault = self.faults[min(self.connections, len(self.faults) - 1)]
            self.connections += 1
            thread = threading.Thread(target=_play, args=(fault, connection), daemon=True)
            thread.start()
            self._threads.append(thread)

    def join(self) -> None:
        """Wait for the connections to end."""
        for thread in self._threads:
            thread.join(SECONDS)


@contextmanager
def faulty_server(*faults: Fault, tls: bool = False) -> Iterator[FaultyServer]:
    """Serve for the length of a block; `tls` names the scheme of the URL, faults do their own handshakes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        scheme = "https" if tls else "http"
        server = FaultyServer(faults, f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=server.accept, args=(listener,), daemon=True)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(SECONDS)


def _play(fault: Fault, connection: Connection) -> None:
    connection.settimeout(SECONDS)
    with suppress(OSError), connection:
        fault(connection)


def receive_request(connection: Connection) -> bytes:
    """Return a whole request of HTTP/1."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [line.partition(b":") for line in head.split(b"\r\n")]
    length = next((int(value) for name, _, value in lines if name.lower() == b"content-length"), 0)
    while len(body) < length:
        body += _receive(connection)
    return head


def _receive(connection: Connection) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionResetError
    return data


def answering(*parts: bytes) -> Fault:
    """Send the parts after a request of HTTP/1, and close the connection."""

    def fault(connection: Connection) -> None:
        receive_request(connection)
        for part in parts:
            connection.sendall(part)

    return fault


def resetting(*parts: bytes) -> Fault:
    """Send the parts after a request of HTTP/1, and reset the connection."""

    def fault(connection: Connection) -> None:
        receive_request(connection)
        for part in parts:
            connection.sendall(part)
        reset(connection)

    return fault


def reset(connection: Connection) -> None:
    """Close a connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


CLOSING = "Connection: close"


def head(*lines: str, status: str = "200 OK") -> bytes:
    """Return the head of a response of HTTP/1."""
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def whole(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    """Return a response of HTTP/1."""
    described = (CLOSING, "Content-Type: application/json", f"Content-Length: {len(body)}", *lines)
    return head(*described, status=status) + body


NESTED = b"[" * 200_000
HEAD_FAULTS: dict[str, Fault] = {
    "closed before the head": answering(),
    "reset before the head": resetting(),
    "closed in the head": answering(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "another protocol": answering(b"SSH-2.0-OpenSSH\r\n\r\n"),
    "a status that is no number": answering(b"HTTP/1.1 abc OK\r\n\r\n"),
    "an endless head": answering(b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 300_000),
    "a header without a colon": answering(b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"),
    "lengths that differ": answering(head("Content-Length: 3", "Content-Length: 4") + b"{}"),
    "a length that is no number": answering(head("Content-Length: many") + b"{}"),
    "an unknown transfer encoding": answering(head("Transfer-Encoding: gzip") + b"{}"),
}
"""Faults of HTTP/1 before a response has a body."""
BODY_FAULTS: dict[str, Fault] = {
    "closed in the body": answering(head("Content-Length: 100") + b'{"a"'),
    "reset in the body": resetting(head("Content-Length: 100") + b'{"a"'),
    "an invalid chunk": answering(head("Transfer-Encoding: chunked") + b"zz\r\n{}\r\n"),
    "closed in a chunk": answering(head("Transfer-Encoding: chunked") + b"10\r\n{}"),
}
"""Faults of HTTP/1 within the body of a response."""
ENCODING_FAULTS: dict[str, Fault] = {
    "invalid gzip": answering(whole(b"no gzip at all", "Content-Encoding: gzip")),
    "invalid deflate": answering(whole(b"no deflate at all", "Content-Encoding: deflate")),
    "gzip that ends early": answering(whole(gzip.compress(b"{}")[:-9], "Content-Encoding: gzip")),
}
"""Bodies that cannot be decompressed."""
TEXT_FAULTS: dict[str, Fault] = {
    "an empty body": answering(whole(b"")),
    "bytes that are no text": answering(whole(b"\xff\xfe{\x00\x80")),
    "JSON nested too deeply": answering(whole(NESTED)),
    "a number of too many digits": answering(whole(b'{"a": ' + b"9" * 10_000 + b"}")),
    "a character set that is no text": answering(
        head(CLOSING, "Content-Type: application/json; charset=base64", "Content-Length: 2") + b"{}"
    ),
    "an unknown character set": answering(
        head(CLOSING, "Content-Type: application/json; charset=nonsense", "Content-Length: 2") + b"{}"
    ),
}
"""Bodies that cannot be read."""
HTTP1_FAULTS = {**HEAD_FAULTS, **BODY_FAULTS, **ENCODING_FAULTS, **TEXT_FAULTS}


class Tls:
    """Faults of TLS, of a server with a certificate."""

    def __init__(self, certificate: Path, *protocols: str) -> None:
        """Take the `protocols` that the server offers by ALPN."""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        if protocols:
            self._context.set_alpn_protocols(list(protocols))

    def over(self, fault: Fault) -> Fault:
        """Return a fault within TLS."""

        def play(connection: Connection) -> None:
            with self._context.wrap_socket(connection, server_side=True) as secured:
                fault(secured)

        return play

    @property
    def handshake(self) -> dict[str, Fault]:
        """Faults before a request can be sent."""
        return {
            "plain text in place of TLS": _after_hello(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            "an alert in the handshake": _after_hello(b"\x15\x03\x03\x00\x02\x02\x28"),
            "an invalid record in the handshake": _after_hello(b"\x16\x03\x03\x00\x04\x02\x00\x00\xff"),
            "closed in the handshake": _after_hello(b""),
            "reset in the handshake": _reset_after_hello,
        }

    @property
    def head(self) -> dict[str, Fault]:
        """Faults of TLS after a request, before the head of its response."""
        return {
            "a bad record before the head": self.over(_then_bad_record()),
            "an alert before the head": self.over(_then_raw(b"\x15\x03\x03\x00\x02\x02\x28")),
            "no TLS any more": self.over(_then_raw(b"HTTP/1.1 200 OK\r\n\r\n")),
            "closed without notice": self.over(_then_raw(b"")),
        }

    @property
    def body(self) -> dict[str, Fault]:
        """Faults of TLS within the body of a response."""
        started = head("Transfer-Encoding: chunked") + b"2\r\n{}\r\n"
        return {
            "a bad record in the body": self.over(_then_bad_record(started)),
            "plain text in the body": self.over(_then_raw(b"garbage that is no record", started)),
            "closed without notice in the body": self.over(_then_raw(b"", started)),
        }


def _after_hello(data: bytes) -> Fault:
    def fault(connection: Connection) -> None:
        connection.recv(65536)
        connection.sendall(data)

    return fault


def _reset_after_hello(connection: Connection) -> None:
    connection.recv(65536)
    reset(connection)


def _then_bad_record(started: bytes = b"") -> Fault:
    """Return a fault that sends a record whose authentication is wrong."""
    return _then_raw(b"\x17\x03\x03\x00\x40" + b"x" * 64, started)


def _then_raw(data: bytes, started: bytes = b"") -> Fault:
    """Return a fault that sends bytes beside TLS, after the `started` response within it."""

    def fault(connection: Connection) -> None:
        receive_request(connection)
        if started:
            connection.sendall(started)
        send_raw(connection, data)

    return fault


def send_raw(connection: Connection, data: bytes) -> None:
    """Send bytes on the socket under TLS, and close it without the notice of TLS."""
    with socket.socket(fileno=os.dup(connection.fileno())) as raw:
        raw.settimeout(SECONDS)
        if data:
            raw.sendall(data)
            with suppress(OSError):
                while raw.recv(65536):
                    pass
        raw.shutdown(socket.SHUT_RDWR)


# --- HTTP/2


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers(*pairs: tuple[str, str], end: bool = False) -> bytes:
    """Return a frame of headers of the first stream."""
    return frame(1, 4 | end, 1, Encoder().encode(pairs))


DATA, SETTINGS, END_HEADERS = 0, 4, 4
OPENING = frame(SETTINGS, 0, 0)
STARTED = headers((":status", "200"), ("content-type", "text/event-stream"))
FRAMES: dict[str, bytes] = {
    "bytes that are no frames": b"garbage " * 40,
    "settings of a wrong length": frame(SETTINGS, 0, 0, b"12345"),
    "an invalid setting": frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 2**32 - 1)),
    "data on stream 0": frame(DATA, 0, 0, b"x"),
    "headers that cannot be decompressed": frame(1, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
    "headers without a status": headers(("a", "b")),
    "a status that is no number": headers((":status", "abc")),
    "a name in capitals": headers((":status", "200"), ("Upper", "b")),
    "a frame that is too large": struct.pack(">I", 2**20)[1:] + b"\x00\x00\x00\x00\x00\x01" + b"x" * 2**20,
    "padding longer than its frame": frame(DATA, 8, 1, b"\xffx"),
    "a ping of a wrong length": frame(6, 0, 0, b"123"),
    "a continuation of nothing": frame(9, 4, 1, b"x"),
    "a promise that was declined": frame(5, 4, 1, struct.pack(">I", 2) + b"\x82"),
    "a window that overflows": frame(8, 0, 0, struct.pack(">I", 2**31 - 1)) * 2,
    "data before headers": frame(DATA, 0, 1, b"x"),
    "an end before headers": frame(DATA, 1, 1, b""),
    "a reset stream": frame(3, 0, 1, struct.pack(">I", 2)),
    "a reset stream of the future": frame(3, 0, 99, struct.pack(">I", 2)),
    "going away": frame(7, 0, 0, struct.pack(">II", 0, 1)),
    "closed": b"",
    "closed in a frame": frame(DATA, 0, 1, b"x" * 100)[:20],
}
"""Frames that a client cannot accept."""
BODY_FRAMES: dict[str, bytes] = {
    **{name: data for name, data in FRAMES.items() if "before headers" not in name and "status" not in name},
    "headers twice": STARTED,
    "data after its end": frame(DATA, 1, 1, b"") + frame(DATA, 0, 1, b"x"),
}
"""Frames that a client cannot accept within a body."""
ONE_STREAM = ("closed", "reset", "status", "capitals", "no frames", "after its end")
"""Words in the names of faults after which a client may go on with the connection."""


def breaks_connection(name: str) -> bool:
    """Return True for frames after which the whole connection is over for a client."""
    return not any(word in name for word in ONE_STREAM)


def http2_answering(*parts: bytes, raw: bytes = b"", closing: bool = False) -> Fault:
    """Send frames after a request of HTTP/2, then bytes beside TLS.

    The connection stays open until the client closes it, unless `closing`.
    """

    def fault(connection: Connection) -> None:
        connection.sendall(OPENING)
        received = b""
        while b'"messages"' not in received:
            received += _receive(connection)
        for part in parts:
            connection.sendall(part)
        if raw:
            send_raw(connection, raw)
        while not closing:
            _receive(connection)

    return fault


BAD_RECORD = b"\x17\x03\x03\x00\x40" + b"x" * 64
