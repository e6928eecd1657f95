"""Azurite, Microsoft's own blob server, in memory and on loopback: one process a test session."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import ContainerClient, ContentSettings, generate_container_sas

from inference.settings import Container

FOLDER = Path(__file__).parents[1] / "azurite"
SERVER = FOLDER / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key that every Azurite has."""
LISTENING = re.compile(r"listens on (http://127\.0\.0\.1:\d+)")
INSTALL_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Storage:
    """A running blob server."""

    url: str

    def container(self, name: str = "") -> Bucket:
        """Create a container."""
        name = name or f"models-{uuid4().hex[:12]}"
        client = ContainerClient(
            f"{self.url}/{ACCOUNT}", name, credential=AzureNamedKeyCredential(ACCOUNT, KEY)
        )
        client.create_container()
        return Bucket(client, name, self.url)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A container with its addresses."""

    client: ContainerClient
    name: str
    url: str

    def put(self, path: str, content: bytes, *, md5: bytes | None = None) -> None:
        """Upload a blob; like a large one of common tools it has no Content-MD5 unless passed."""
        settings = ContentSettings(content_md5=bytearray(md5)) if md5 else None
        self.client.upload_blob(path, content, overwrite=True, content_settings=settings)

    def put_folder(self, folder: Path, prefix: str = "") -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}{path.relative_to(folder).as_posix()}", path.read_bytes())

    def sas(self, permission: str = "rl") -> str:
        expiry = datetime.now(UTC) + timedelta(hours=1)
        return generate_container_sas(
            ACCOUNT, self.name, account_key=KEY, permission=permission, expiry=expiry
        )

    def at(self, prefix: str = "", *, server: str = "", sas: str = "") -> Container:
        """Return the container's address, direct or through a proxy."""
        return Container(f"{server or self.url}/{ACCOUNT}", self.name, prefix, sas)


def install() -> str:
    """Install Azurite once and return the path of node; skip the test without node or npm."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.skip("the blob server of these tests, Azurite, needs node and npm, which are not here")
    installed, wanted = FOLDER / "node_modules" / ".package-lock.json", FOLDER / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < wanted.stat().st_mtime:
        command = [npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(command, cwd=FOLDER, timeout=INSTALL_SECONDS, check=True, capture_output=True)
        installed.touch()
    return found


@contextmanager
def azurite(log: Path, extra: Mapping[str, str] | None = None) -> Iterator[Storage]:
    """Run a blob server for the length of a block."""
    options = {"--blobHost": "127.0.0.1", "--blobPort": "0", **(extra or {})}
    flags = ["--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry"]
    command = [install(), str(SERVER), *(word for pair in options.items() for word in pair), *flags]
    with log.open("w") as errors:
        process = subprocess.Popen(command, cwd=log.parent, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        yield Storage(_url(process, log))
    finally:
        process.terminate()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


def _url(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := LISTENING.search(line):
            return found[1]
    raise AssertionError(f"Azurite ended before it served: {log.read_text()}")
