"""What a container holds: the deployments under a prefix, with the version of each of their files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from inference.blobs.client import told
from inference.settings import Container

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties, ContainerClient

CARD = "model.json"
CARD_BYTES = 1024 * 1024
"""The largest card that is read."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A version of a blob."""

    name: str
    """Path in the container."""
    path: str
    """Path in the folder that it is fetched into."""
    etag: str
    size: int
    md5: bytes | None
    """Of the content, where whoever wrote the blob said it."""


@dataclass(frozen=True, slots=True)
class BlobFolder:
    """The files of a deployment in a container."""

    container: Container
    path: str
    """Folder in the container; empty where the container itself is the deployment."""
    blobs: tuple[Blob, ...]

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name or self.container.name

    @property
    def size(self) -> int:
        return sum(blob.size for blob in self.blobs)

    @property
    def card(self) -> Blob:
        return next(blob for blob in self.blobs if blob.path == CARD)

    @property
    def version(self) -> str:
        """A name for exactly these files: another where one is changed, added or taken away."""
        lines = sorted(f"{blob.path}\n{key_of(self.container, blob)}" for blob in self.blobs)
        return sha256("\n".join(lines).encode()).hexdigest()[:32]


def key_of(container: Container, blob: Blob) -> str:
    """A name for a version of a blob: account, container, path and ETag."""
    text = "\n".join((container.account, container.name, blob.name, blob.etag))
    return sha256(text.encode()).hexdigest()[:32]


def deployments(client: ContainerClient, container: Container) -> list[BlobFolder]:
    """The folder itself where it has a card, else each of its folders that has one. Raises `BlobError`."""
    root = f"{container.prefix}/" if container.prefix else ""
    found = list(files(client, container))
    roots = [root] if any(blob.name == root + CARD for blob in found) else _with_card(found, root)
    return [BlobFolder(container, home.rstrip("/"), tuple(_below(home, found))) for home in roots]


def files(client: ContainerClient, container: Container) -> Iterator[Blob]:
    """Every file under the prefix; `path` starts behind it. Raises `BlobError`."""
    root = f"{container.prefix}/" if container.prefix else ""
    with told("Listing the container"):
        for blob in client.list_blobs(name_starts_with=root or None, include=["metadata"]):
            if _is_file(blob):
                yield _blob(blob, root)


def read_card(client: ContainerClient, folder: BlobFolder) -> bytes:
    """The card's bytes, no more than a card may have. Raises `BlobError`."""
    blob = folder.card
    if not blob.size:
        return b""
    with told(f"Reading {blob.name}"):
        size = min(blob.size, CARD_BYTES)
        content: bytes = client.download_blob(blob.name, offset=0, length=size, encoding=None).readall()
    return content


def _is_file(blob: BlobProperties) -> bool:
    """Accounts with a hierarchical namespace list folders as empty blobs."""
    name = str(blob.name)
    parts = PurePosixPath(name).parts
    marker = (blob.metadata or {}).get("hdi_isfolder") == "true" or name.endswith("/")
    plain = not name.startswith("/") and "//" not in name and "\\" not in name and "\0" not in name
    return not marker and ".." not in parts and plain


def _blob(blob: BlobProperties, root: str) -> Blob:
    md5 = blob.content_settings.content_md5
    etag = str(blob.etag).strip('"')
    return Blob(str(blob.name), blob.name[len(root) :], etag, int(blob.size), bytes(md5) if md5 else None)


def _with_card(found: Sequence[Blob], root: str) -> list[str]:
    homes = (blob.name.removesuffix(CARD) for blob in found if PurePosixPath(blob.path).name == CARD)
    return sorted(home for home in homes if home[len(root) :].count("/") == 1)


def _below(home: str, found: Sequence[Blob]) -> Iterator[Blob]:
    for blob in found:
        if blob.name.startswith(home):
            yield Blob(blob.name, blob.name[len(home) :], blob.etag, blob.size, blob.md5)
