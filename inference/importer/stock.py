"""Where a model's files are before they are a deployment's: listed first, then fetched by name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from inference.importer.refusal import ImporterError


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
