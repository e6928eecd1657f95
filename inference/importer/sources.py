"""SOURCE of `models add` as a value: a folder, a repository of a hub, a container of blobs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

from inference.importer.findings import ImporterError
from inference.settings import Container
from inference.settings.setting import LOOPBACK

HUB = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
PAGE = re.compile(r"/(?P<repository>[\w.-]+/[\w.-]+?)(?:/tree/(?P<revision>[\w./-]+?))?/?", re.ASCII)
HUB_HOSTS = ("huggingface.co", "hf.co")
BLOB_HOST = re.compile(r"[a-z0-9-]+\.blob\.[a-z0-9.-]+")
UNNAMED = re.compile(r"[^A-Za-z0-9._-]+")
LONGEST = 128
KINDS = "a folder, hf:owner/repo[@revision], or https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX]"


@dataclass(frozen=True, slots=True)
class FolderSource:
    """Files on this machine."""

    path: Path


@dataclass(frozen=True, slots=True)
class HubSource:
    """`owner/repo` on the Hugging Face hub, or the one that HF_ENDPOINT names."""

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf:{self.repository}" + (f"@{self.revision}" if self.revision else "")


Source: TypeAlias = FolderSource | HubSource | Container
"""A `Container` is one of Azure Blob Storage or what lies under a prefix in it, maybe with a SAS."""


def parse(text: str) -> Source:
    """Raises `ImporterError` for what is none of the three kinds."""
    if text.startswith("hf:"):
        return _hub(text)
    if text.startswith(("http://", "https://")):
        return _url(text)
    path = Path(text).expanduser()
    if path.is_dir():
        return FolderSource(path.resolve())
    if path.exists():
        raise ImporterError(
            f"{text} is a file. Name the folder that holds it: its other files are needed too."
        )
    hint = f" Did you mean hf:{text}?" if HUB.fullmatch(f"hf:{text}") else ""
    raise ImporterError(f"There is no folder {text}.{hint} SOURCE is {KINDS}.")


def name_of(source: Source) -> str:
    """A name for the deployment: the last part of where it comes from, without what names cannot have."""
    match source:
        case FolderSource(path):
            last = path.name
        case HubSource(repository):
            last = repository.rpartition("/")[2]
        case Container(name=container, prefix=prefix):
            last = prefix.rpartition("/")[2] or container
    name = UNNAMED.sub("-", last).strip("._-")[:LONGEST]
    if not name:
        raise ImporterError(f"No name can be made of {last!r}: say --name NAME.")
    return name


def _hub(text: str) -> HubSource:
    match = HUB.fullmatch(text)
    if match is None:
        raise ImporterError(f"{text} is not hf:owner/repo or hf:owner/repo@revision.")
    return HubSource(match["repository"], match["revision"])


def _url(text: str) -> Source:
    parts = urlsplit(text)
    if parts.hostname in HUB_HOSTS and (page := PAGE.fullmatch(parts.path)):
        return HubSource(page["repository"], page["revision"])
    shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"  # neither passwords nor signatures
    if not BLOB_HOST.fullmatch(parts.hostname or "") and parts.hostname not in LOOPBACK:
        raise ImporterError(f"{shown} is no source that is known. SOURCE is {KINDS}.")
    try:
        return Container.parse(text)
    except ValueError as error:
        raise ImporterError(f"{shown} is no source that is known: {error}. SOURCE is {KINDS}.") from None


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that could be fetched: its size in bytes, and its SHA-256 where the place tells."""

    size: int
    sha256: str | None = None


Listing: TypeAlias = Mapping[str, SourceFile]
"""Paths from the source's root, with slashes, to what is known of the files."""


class SourceFiles(Protocol):
    """A source's files."""

    @property
    def listing(self) -> Listing: ...

    @property
    def address(self) -> str:
        """What a command line calls the source."""
        ...

    @property
    def origin(self) -> str:
        """Where they come from, in words for the card's description."""
        ...

    @property
    def provider(self) -> str | None:
        """Who made the model, where the source says."""
        ...

    @property
    def license(self) -> str | None: ...

    def fetch(self, names: Sequence[str]) -> Mapping[str, Path]:
        """The named files on this machine, whole. Raises `ImporterError`."""
        ...


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """The files of a folder, where they lie."""

    root: Path
    listing: Listing
    origin: str
    provider: str | None = None
    license: str | None = None

    @property
    def address(self) -> str:
        return str(self.root)

    @classmethod
    def of(cls, root: Path, origin: str | None = None) -> FolderFiles:
        """Raises `ImporterError` for a folder that cannot be read."""
        try:
            listing = dict(_walk(root))
        except OSError as error:
            raise ImporterError(f"{error.filename or root} cannot be read: {error.strerror}.") from None
        return cls(root, listing, origin or f"the folder {root.name}")

    def fetch(self, names: Sequence[str]) -> Mapping[str, Path]:
        return {name: self.root / name for name in names}


def _walk(root: Path) -> Iterator[tuple[str, SourceFile]]:
    """Every file that is not hidden, links followed to files and not to folders."""
    for folder, below, names in os.walk(root, onerror=_raise):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            path = Path(folder) / name
            if path.is_file():
                yield path.relative_to(root).as_posix(), SourceFile(path.stat().st_size)


def _raise(error: OSError) -> None:
    raise error
