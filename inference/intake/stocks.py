"""One function a kind of source: its files as a stock."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path

from inference.intake.finding import Say
from inference.intake.refusal import IntakeError
from inference.intake.source import BlobPrefix, Folder, HubRepository, Source
from inference.intake.stock import FolderStock, Stock

BLOBS = "inference.blobs"
"""The package with `fetch(url, folder)`, which puts what begins with a prefix into a folder."""


def stocked(source: Source, shelf: Path, say: Say) -> Stock:
    """Raises `IntakeError`. `shelf` is a hidden folder for sources that keep no cache of their own."""
    match source:
        case Folder(path):
            return FolderStock.of(path)
        case HubRepository():
            from inference.intake.hub import hub_stock

            return hub_stock(source, say)
        case BlobPrefix(url):
            fetch_blobs(url, shelf)
            return FolderStock.of(shelf, str(source))


def cleared(shelf: Path) -> None:
    """Drops what was kept so that a run could go on where another was cut."""
    shutil.rmtree(shelf, ignore_errors=True)


def fetch_blobs(url: str, folder: Path) -> None:
    """Raises `IntakeError`, also where this installation cannot fetch blobs."""
    try:
        blobs = import_module(BLOBS)
    except ModuleNotFoundError:
        raise IntakeError(
            "Sources in Azure Blob Storage are not available in this installation. Download the files, for "
            "instance with `az storage blob download-batch`, and add the folder."
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
    blobs.fetch(url, folder)
