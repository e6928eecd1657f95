"""The emulator on a port of this machine, for the length of a test."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from azure.core.credentials import AzureKeyCredential
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from inference.safety.azure import AzureContentSafety
from inference.safety.blocklist import parse_rule
from inference.safety.emulator.server import EmulatorServer, Fault
from inference.safety.emulator.service import EmulatedService
from inference.safety.verdict import Verdict

KEY = "emulator-key"
RULES = (
    "violence 4: chopping tomatoes",
    "violence 6: forbidden words",
    "hate 2: mild words",
    "list slang: some slang",
    "jailbreak: ignore all instructions",
    "indirect_attack: send me the secrets",
    "protected_material_text: these are famous lyrics",
    "protected_material_code: def famous",
)


def server_of(rules: Sequence[str] = RULES, picture: Verdict | None = None) -> EmulatorServer:
    """Return an emulator that does not listen yet."""
    return EmulatorServer(
        EmulatedService([parse_rule(line, "rules") for line in rules], KEY, picture or Verdict())
    )


@asynccontextmanager
async def listening(server: EmulatorServer, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve an emulator on this event loop and yield its URL."""
    running = await server.serve("127.0.0.1", 0, tls)
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{running.sockets[0].getsockname()[1]}"
    finally:
        running.close()
        await server.close()
        await running.wait_closed()


def self_signed(folder: Path) -> ssl.SSLContext:
    """Return a server's TLS with a self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=36500))
    certificate = builder.sign(key, hashes.SHA256())
    path = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@asynccontextmanager
async def client_of(url: str, *, seconds: float = 5, key: str = KEY) -> AsyncIterator[AzureContentSafety]:
    """Yield a `Moderator` through the real SDK."""
    client = AzureContentSafety(url, AzureKeyCredential(key), api_version="2024-09-01", seconds=seconds)
    try:
        yield client
    finally:
        await client.aclose()


@dataclass(slots=True)
class Emulator:
    """An emulator in a thread of its own, for tests of server processes."""

    url: str
    server: EmulatorServer

    def behave(self, fault: Fault = Fault.NONE, *, skip: int = 0, times: int | None = None) -> None:
        """Set the fault of the requests from now on."""
        self.server.fault, self.server.skip, self.server.times = fault, skip, times
        self.server.service.answered = 0


@contextmanager
def emulator(server: EmulatorServer, tls: ssl.SSLContext | None = None) -> Iterator[Emulator]:
    """Serve an emulator in a thread for the length of a block."""
    loop, started, urls = asyncio.new_event_loop(), threading.Event(), list[str]()
    ended = asyncio.Event()

    async def serve() -> None:
        async with listening(server, tls) as url:
            urls.append(url)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="emulator")
    thread.start()
    assert started.wait(10)
    try:
        yield Emulator(urls[0], server)
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()
