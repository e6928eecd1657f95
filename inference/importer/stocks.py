"""One function a kind of source: its files as a stock."""

from __future__ import annotations

import shutil
from pathlib import Path

from inference.importer.findings import Say
from inference.importer.sources import FolderSource, HubSource, Source
from inference.importer.stock import FolderFiles, SourceFiles
from inference.settings import Settings


def files_of_source(source: Source, shelf: Path, settings: Settings, say: Say) -> SourceFiles:
    """Raises `ImporterError`. `shelf` is a hidden folder for sources that keep no cache of their own."""
    match source:
        case FolderSource(path):
            return FolderFiles.of(path)
        case HubSource():
            from inference.importer.hub import hub_files

            return hub_files(source, say)
        case container:
            from inference.importer.container import container_files

            return container_files(container, shelf, settings, say)


def cleared(shelf: Path) -> None:
    """Drops what was kept so that a run could go on where another was cut."""
    shutil.rmtree(shelf, ignore_errors=True)
