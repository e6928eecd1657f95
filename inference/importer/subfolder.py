"""A folder of a source as a source of its own: a repository may keep a model in each of its folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.importer.sources import Listing, SourceFiles


@dataclass(frozen=True, slots=True)
class Subfolder:
    """The files of a source in one of its folders, by their paths from there."""

    files: SourceFiles
    folder: str

    @property
    def listing(self) -> Listing:
        start = f"{self.folder}/"
        listing = self.files.listing
        return {path.removeprefix(start): listing[path] for path in listing if path.startswith(start)}

    @property
    def address(self) -> str:
        return self.files.below(self.folder)

    def below(self, folder: str) -> str:
        return self.files.below(f"{self.folder}/{folder}")

    @property
    def origin(self) -> str:
        return f"{self.folder} of {self.files.origin}"

    @property
    def provider(self) -> str | None:
        return self.files.provider

    @property
    def license(self) -> str | None:
        return self.files.license

    def fetch(self, names: Sequence[str]) -> Mapping[str, Path]:
        fetched = self.files.fetch([f"{self.folder}/{name}" for name in names])
        return {name: fetched[f"{self.folder}/{name}"] for name in names}


def within(files: SourceFiles, path: str, *, whole: bool = False) -> SourceFiles:
    """Return the files of a folder that an address names; those of the source where it names none.

    A folder with graphs stays a part of its source, unless `whole`: what describes them is often in the
    folders above.
    """
    below = [name for name in files.listing if name.startswith(f"{path}/")]
    graphs = any(name.endswith(".onnx") for name in below)
    return Subfolder(files, path) if path and below and (whole or not graphs) else files
