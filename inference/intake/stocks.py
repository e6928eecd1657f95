"""One function a kind of source: its files as a stock."""

from __future__ import annotations

import shutil
from pathlib import Path

from inference.intake.finding import Say
from inference.intake.refusal import IntakeError
from inference.intake.source import BlobPrefix, Folder, HubRepository, Source
from inference.intake.stock import FolderStock, Stock


def stocked(source: Source, shelf: Path, say: Say) -> Stock:
    """Raises `IntakeError`. `shelf` is a hidden folder for sources that keep no cache of their own."""
    match source:
        case Folder(path):
            return FolderStock.of(path)
        case HubRepository():
            from inference.intake.hub import hub_stock

            return hub_stock(source, say)
        case BlobPrefix(url):
            fetch_blobs(url, shelf, say)
            return FolderStock.of(shelf, str(source))


def cleared(shelf: Path) -> None:
    """Drops what was kept so that a run could go on where another was cut."""
    shutil.rmtree(shelf, ignore_errors=True)


def fetch_blobs(url: str, folder: Path, say: Say) -> None:
    """Puts what begins with a prefix into a folder. Raises `IntakeError`."""
    from inference.blobs.errors import BlobError
    from inference.blobs.prefix import fetch_prefix
    from inference.settings import Container, Settings

    settings = Settings.from_environment()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        fetched = fetch_prefix(
            Container.parse(url), folder, key=settings.storage_key, sas=settings.storage_sas
        )
    except (BlobError, ValueError) as error:
        raise IntakeError(f"The files cannot be fetched: {error}") from None
    say(f"{len(fetched)} files were fetched.")
