"""One function a kind of source: its files as a stock."""

from __future__ import annotations

import shutil
from pathlib import Path

from inference.importer.findings import Say
from inference.importer.sources import Folder, HubRepository, Source
from inference.importer.stock import FolderStock, Stock
from inference.settings import Settings


def stocked(source: Source, shelf: Path, settings: Settings, say: Say) -> Stock:
    """Raises `IntakeError`. `shelf` is a hidden folder for sources that keep no cache of their own."""
    match source:
        case Folder(path):
            return FolderStock.of(path)
        case HubRepository():
            from inference.importer.hub import hub_stock

            return hub_stock(source, say)
        case container:
            from inference.importer.container import container_stock

            return container_stock(container, shelf, settings, say)


def cleared(shelf: Path) -> None:
    """Drops what was kept so that a run could go on where another was cut."""
    shutil.rmtree(shelf, ignore_errors=True)
