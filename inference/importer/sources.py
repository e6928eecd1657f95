"""Sources of models: the SOURCE argument as a value, and the files that a source lists and fetches."""

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
HUB_PAGE = re.compile(r"/(?P<repository>[\w.-]+/[\w.-]+?)(?:/tree/(?P<revision>[\w./-]+?))?/?", re.ASCII)
HUB_HOSTS = ("huggingface.co", "hf.co")
BLOB_HOST = re.compile(r"[a-z0-9-]+\.blob\.[a-z0-9.-]+")
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
MAX_NAME_LENGTH = 128
SYNTAX = "a folder, hf:owner/repo[@revision], or https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX]"


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A folder on this machine."""

    path: Path


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository `owner/repo` on the Hugging Face hub, or on the hub that HF_ENDPOINT names."""

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf:{self.repository}" + (f"@{self.revision}" if self.revision else "")


Source: TypeAlias = FolderSource | HubSource | Container
"""Location of a model; a `Container` is one of Azure Blob Storage, with an optional prefix and SAS."""


def parse(text: str) -> Source:
    """Parse the SOURCE argument of a command.

    Raises `ImporterError` for a text that is none of the three kinds.
    """
    if text.startswith("hf:"):
        return _parse_hub(text)
    if text.startswith(("http://", "https://")):
        return _parse_url(text)
    path = Path(text).expanduser()
    if path.is_dir():
        return FolderSource(path.resolve())
    if path.exists():
        raise ImporterError(
            f"{text} is a file. Name the folder that holds it: the files next to it are needed too."
        )
    hint = f" Did you mean hf:{text}?" if HUB.fullmatch(f"hf:{text}") else ""
    raise ImporterError(f"There is no folder {text}.{hint} SOURCE is {SYNTAX}.")


def name_of(source: Source) -> str:
    """Return the default name of the deployment: the last part of the location, in the letters of a name.

    Raises `ImporterError` where none of its letters is allowed in a name.
    """
    match source:
        case FolderSource(path):
            last = path.name
        case HubSource(repository):
            last = repository.rpartition("/")[2]
        case Container(name=container, prefix=prefix):
            last = prefix.rpartition("/")[2] or container
    name = NOT_IN_NAMES.sub("-", last).strip("._-")[:MAX_NAME_LENGTH]
    if not name:
        raise ImporterError(f"No name can be made from {last!r}: set one with --name NAME.")
    return name


def _parse_hub(text: str) -> HubSource:
    match = HUB.fullmatch(text)
    if match is None:
        raise ImporterError(f"{text} is not hf:owner/repo or hf:owner/repo@revision.")
    return HubSource(match["repository"], match["revision"])


def _parse_url(text: str) -> Source:
    parts = urlsplit(text)
    if parts.hostname in HUB_HOSTS and (page := HUB_PAGE.fullmatch(parts.path)):
        return HubSource(page["repository"], page["revision"])
    shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"  # neither passwords nor signatures
    if not BLOB_HOST.fullmatch(parts.hostname or "") and parts.hostname not in LOOPBACK:
        raise ImporterError(f"{shown} is not a supported source. SOURCE is {SYNTAX}.")
    try:
        return Container.parse(text)
    except ValueError as error:
        raise ImporterError(f"{shown} is not a supported source: {error}. SOURCE is {SYNTAX}.") from None


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that a source lists: its size in bytes, and its SHA-256 where the source publishes one."""

    size: int
    sha256: str | None = None


Listing: TypeAlias = Mapping[str, SourceFile]
"""Files of a source by their path from its root, with slashes."""


class SourceFiles(Protocol):
    """The files of a source: listed at once, fetched by name."""

    @property
    def listing(self) -> Listing: ...

    @property
    def address(self) -> str:
        """SOURCE as a command line writes it, without secrets."""
        ...

    @property
    def origin(self) -> str:
        """Origin of the files, in words for the card's description."""
        ...

    @property
    def provider(self) -> str | None:
        """Maker of the model, where the source names one."""
        ...

    @property
    def license(self) -> str | None: ...

    def fetch(self, names: Sequence[str]) -> Mapping[str, Path]:
        """Return the complete files on this machine by name.

        Raises `ImporterError` for a file that cannot be fetched or is not the listed one.
        """
        ...


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """The files of a folder, used in place."""

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
        """List the files of a folder. Raises `ImporterError` where it cannot be read."""
        try:
            listing = dict(_walk(root))
        except OSError as error:
            raise ImporterError(f"{error.filename or root} cannot be read: {error.strerror}.") from None
        return cls(root, listing, origin or f"the folder {root.name}")

    def fetch(self, names: Sequence[str]) -> Mapping[str, Path]:
        return {name: self.root / name for name in names}


def _walk(root: Path) -> Iterator[tuple[str, SourceFile]]:
    """Yield every file that is not hidden; links to files are followed, links to folders are not."""
    for folder, below, names in os.walk(root, onerror=_raise):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            path = Path(folder) / name
            if path.is_file():
                yield path.relative_to(root).as_posix(), SourceFile(path.stat().st_size)


def _raise(error: OSError) -> None:
    raise error
