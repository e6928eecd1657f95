"""The listing of a container: the deployments under a prefix, with the version of each of their files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from inference.blobs.client import translate_errors
from inference.settings import Container

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties, ContainerClient

CARD_FILE = "model.json"
MAX_CARD_BYTES = 1024 * 1024
"""Bytes of a card that are read at most."""


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
    """MD5 of the content, if the blob was written with one."""


@dataclass(frozen=True, slots=True)
class BlobFolder:
    """The files of a deployment in a container."""

    container: Container
    path: str
    """Folder in the container; empty if the container itself is the deployment."""
    blobs: tuple[Blob, ...]

    @property
    def name(self) -> str:
        """The folder's name."""
        return PurePosixPath(self.path).name or self.container.name

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(blob.size for blob in self.blobs)

    @property
    def card(self) -> Blob:
        """The blob of the card."""
        return next(blob for blob in self.blobs if blob.path == CARD_FILE)

    @property
    def version(self) -> str:
        """A name for exactly these files, which changes with every file changed, added or deleted."""
        lines = sorted(f"{blob.path}\n{blob_key(self.container, blob)}" for blob in self.blobs)
        return sha256("\n".join(lines).encode()).hexdigest()[:32]


def blob_key(container: Container, blob: Blob) -> str:
    """Return a name for a version of a blob, from its account, container, path and ETag."""
    text = "\n".join((container.account, container.name, blob.name, blob.etag))
    return sha256(text.encode()).hexdigest()[:32]


def list_deployments(client: ContainerClient, container: Container) -> list[BlobFolder]:
    """Return the folder under the prefix if it has a card, else each of its sub-folders that has one.

    Raises `BlobError`.
    """
    root = f"{container.prefix}/" if container.prefix else ""
    blobs = list(list_files(client, container))
    if any(blob.name == root + CARD_FILE for blob in blobs):
        folders = [root]
    else:
        folders = _folders_with_card(blobs, root)
    return [BlobFolder(container, folder.rstrip("/"), tuple(_below(folder, blobs))) for folder in folders]


def list_files(client: ContainerClient, container: Container) -> Iterator[Blob]:
    """Yield every file under the prefix, with a `path` relative to it. Raises `BlobError`."""
    root = f"{container.prefix}/" if container.prefix else ""
    with translate_errors("Listing the container"):
        for properties in client.list_blobs(name_starts_with=root or None, include=["metadata"]):
            if _is_file(properties):
                yield _blob(properties, root)


def read_card(client: ContainerClient, folder: BlobFolder) -> bytes:
    """Return the card's bytes, at most `MAX_CARD_BYTES` of them. Raises `BlobError`."""
    blob = folder.card
    if not blob.size:
        return b""
    with translate_errors(f"Reading {blob.name}"):
        size = min(blob.size, MAX_CARD_BYTES)
        content: bytes = client.download_blob(blob.name, offset=0, length=size, encoding=None).readall()
    return content


def _is_file(properties: BlobProperties) -> bool:
    """Return False for folders and for paths that lead out of their folder.

    Accounts with a hierarchical namespace list folders as empty blobs.
    """
    name = str(properties.name)
    is_folder = (properties.metadata or {}).get("hdi_isfolder") == "true" or name.endswith("/")
    is_relative = not name.startswith("/") and ".." not in PurePosixPath(name).parts
    return not is_folder and is_relative and not any(part in name for part in ("//", "\\", "\0"))


def _blob(properties: BlobProperties, root: str) -> Blob:
    name, md5 = str(properties.name), properties.content_settings.content_md5
    etag = str(properties.etag).strip('"')
    return Blob(name, name[len(root) :], etag, int(properties.size), bytes(md5) if md5 else None)


def _folders_with_card(blobs: Sequence[Blob], root: str) -> list[str]:
    folders = (
        blob.name.removesuffix(CARD_FILE) for blob in blobs if PurePosixPath(blob.path).name == CARD_FILE
    )
    return sorted(folder for folder in folders if folder[len(root) :].count("/") == 1)


def _below(folder: str, blobs: Sequence[Blob]) -> Iterator[Blob]:
    for blob in blobs:
        if blob.name.startswith(folder):
            yield Blob(blob.name, blob.name[len(folder) :], blob.etag, blob.size, blob.md5)
