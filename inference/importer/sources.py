"""Sources of models: the SOURCE argument as a value, and the files that a source lists and fetches."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from inference.importer.findings import ImporterError
from inference.importer.folder_walk import (
    MAX_FILES,
    TooManyFiles,
    cached_repository,
    files_below,
    snapshot_of,
)
from inference.importer.lfs import require_contents
from inference.settings import Container
from inference.settings.setting import LOOPBACK

HUB = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
HUB_PAGE = re.compile(
    r"/(?P<repository>[\w.-]+/[\w.-]+?)"
    r"(?:/(?P<kind>tree|blob|raw|resolve|commit)/(?P<revision>refs/(?:pr|convert)/[\w.-]+|[^/]+)(?:/(?P<path>.*?))?)?/?",
    re.ASCII,
)
"""The path of a page or a file of a repository; a revision with other slashes has them as %2F."""
HUB_HOSTS = ("huggingface.co", "hf.co", "www.huggingface.co")
OTHER_PAGES = (
    "datasets/",
    "spaces/",
    "collections/",
    "papers/",
    "docs/",
    "blog/",
    "settings/",
    "organizations/",
)
BLOB_HOST = re.compile(r"[a-z0-9-]+\.blob\.[a-z0-9.-]+")
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
MAX_NAME_LENGTH = 128
MAX_SHOWN = 200
"""Characters of a SOURCE that a message repeats."""
PART_NUMBER = re.compile(r"-\d{5}-of-\d{5}$")
SYNTAX = (
    "a folder, a GGUF file, hf:owner/repo[@revision][:FILE], or "
    "https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX]"
)


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A folder on this machine."""

    path: Path


@dataclass(frozen=True, slots=True)
class FileSource:
    """A GGUF file on this machine; of a split model any part stands for all."""

    path: Path


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository `owner/repo` on the Hugging Face hub, or on the hub that HF_ENDPOINT names.

    `path` is the folder in which its graph is looked for, or the graph itself; empty for all folders.
    """

    repository: str
    revision: str | None = None
    path: str = ""

    def __str__(self) -> str:
        return f"hf:{self.repository}" + (f"@{self.revision}" if self.revision else "")


Source: TypeAlias = FolderSource | FileSource | HubSource | Container
"""Location of a model; a `Container` is one of Azure Blob Storage, with an optional prefix and SAS."""


def parse(text: str) -> Source:
    """Parse the SOURCE argument of a command.

    Raises `ImporterError` for a text that is none of these kinds.
    """
    if not text.strip():
        raise ImporterError(f"SOURCE is empty. It is {SYNTAX}.")
    if text.startswith("hf:"):
        return _parse_hub(text)
    if text.startswith(tuple(f"{host}/" for host in HUB_HOSTS)):
        return _parse_url(f"https://{text}")
    if text.startswith(("http://", "https://")):
        return _parse_url(text)
    return _parse_path(text)


def _parse_path(text: str) -> FolderSource | FileSource:
    try:
        path = Path(text).expanduser()
        if path.is_dir():
            return FolderSource(snapshot_of(path.resolve()))
        exists, is_file = path.exists(), path.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error).rstrip(".")
        raise ImporterError(f"{shown(text)} cannot be opened: {reason}. SOURCE is {SYNTAX}.") from None
    if is_file and path.suffix.lower() == ".gguf":
        return FileSource(path.absolute())
    if is_file:
        named = f", with --variant {path.stem}" if path.suffix == ".onnx" else ""
        raise ImporterError(
            f"{shown(text)} is a file. Name the folder that holds it{named}: the files next to it are needed "
            "too."
        )
    if exists:
        raise ImporterError(f"{shown(text)} is neither a folder nor a file of a model. SOURCE is {SYNTAX}.")
    hint = f" Did you mean hf:{text}?" if HUB.fullmatch(f"hf:{text}") else ""
    raise ImporterError(f"There is no folder {shown(text)}.{hint} SOURCE is {SYNTAX}.")


def shown(text: str) -> str:
    """Return a text of the user's for a message: cut where it is long, on one line, of printable letters."""
    readable = os.fsencode(text).decode(errors="replace")
    clean = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in readable)
    return clean if len(clean) <= MAX_SHOWN else f"{clean[:MAX_SHOWN]}..."


def name_of(source: Source) -> str:
    """Return the default name of the deployment: the last part of the location, in the letters of a name.

    Raises `ImporterError` where none of its letters is allowed in a name.
    """
    match source:
        case FolderSource(path):
            cached = cached_repository(path)
            last = cached.repository if cached else path.name
        case FileSource(path):
            last = PART_NUMBER.sub("", path.stem)
        case HubSource(repository):
            last = repository.rpartition("/")[2]
        case Container(name=container, prefix=prefix):
            last = prefix.rpartition("/")[2] or container
    name = NOT_IN_NAMES.sub("-", last).strip("._-")[:MAX_NAME_LENGTH]
    if not name:
        raise ImporterError(f"No name can be made from {shown(last)!r}: set one with --name NAME.")
    return name


def _parse_hub(text: str) -> HubSource:
    match = HUB.fullmatch(text)
    if match is None:
        raise ImporterError(f"{shown(text)} is not hf:owner/repo or hf:owner/repo@revision.")
    return HubSource(match["repository"], match["revision"])


def _parse_url(text: str) -> Source:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        parts.port  # noqa: B018  raises for one that is no number
    except ValueError as error:
        raise ImporterError(f"The address is not a valid URL: {error}. SOURCE is {SYNTAX}.") from None
    address = shown(f"{parts.scheme}://{host}{parts.path}")  # neither passwords nor signatures
    if _is_hub(parts):
        return _parse_page(parts.path, address)
    if not BLOB_HOST.fullmatch(host) and host not in LOOPBACK:
        raise ImporterError(f"{address} is not a supported source. SOURCE is {SYNTAX}.")
    try:
        return Container.parse(text)
    except ValueError as error:
        raise ImporterError(f"{address} is not a supported source: {error}. SOURCE is {SYNTAX}.") from None


def _is_hub(parts: SplitResult) -> bool:
    """Return True for an address on the hub, or on the one that HF_ENDPOINT names."""
    own = os.environ.get("HF_ENDPOINT", "").strip("/")
    return parts.hostname in HUB_HOSTS or f"{parts.scheme}://{parts.netloc}" == own


def _parse_page(path: str, address: str) -> HubSource:
    """Return the repository of a page of the hub, with the folder or file that the page shows."""
    page = HUB_PAGE.fullmatch(path)
    if page is None or path.lstrip("/").startswith(OTHER_PAGES):
        raise ImporterError(f"{address} is not the page of a model on the hub. SOURCE is {SYNTAX}.")
    below = PurePosixPath(unquote(page["path"] or ""))
    if page["kind"] in ("blob", "raw", "resolve") and below.suffix != ".onnx":
        below = below.parent
    revision = unquote(page["revision"]) if page["revision"] else None
    return HubSource(page["repository"], revision, "" if below == PurePosixPath() else str(below))


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

    def below(self, folder: str) -> str:
        """Return the SOURCE of a folder of it, as `address` is."""
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

    def below(self, folder: str) -> str:
        return str(self.root / folder)

    @classmethod
    def of(cls, root: Path, origin: str | None = None) -> FolderFiles:
        """List the files of a folder. Raises `ImporterError` where it cannot be read."""
        try:
            listing = {path: SourceFile(size) for path, size in files_below(root)}
        except OSError as error:
            place = shown(str(error.filename or root))
            raise ImporterError(f"{place} cannot be read: {error.strerror}.") from None
        except TooManyFiles:
            raise ImporterError(
                f"{shown(str(root))} has more than {MAX_FILES} files. Name the folder of the model alone."
            ) from None
        cached = cached_repository(root)
        known = cached.origin if cached else f"the folder {shown(root.name)}"
        return cls(root, listing, origin or known, cached.owner if cached else None)

    @classmethod
    def of_names(cls, root: Path, names: Sequence[str]) -> FolderFiles:
        """List some files of a folder; those that are missing are left out."""
        present = [name for name in names if (root / name).is_file()]
        listing = {name: SourceFile((root / name).stat().st_size) for name in present}
        return cls(root, listing, f"the folder {root.name}")

    def fetch(self, names: Sequence[str]) -> Mapping[str, Path]:
        files = {name: self.root / name for name in names}
        require_contents(
            files,
            f"Fetch the contents: git -C {shlex.quote(shown(str(self.root)))} lfs pull (after git lfs "
            "install; without Git LFS download the files by themselves), then run the same command again.",
        )
        return files
