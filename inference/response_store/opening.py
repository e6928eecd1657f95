"""The store of the settings. The module of each kind is imported where it is used."""

from __future__ import annotations

import logging
from pathlib import Path

from inference.response_store.files import is_usable
from inference.response_store.store import ResponseStore
from inference.settings import Container, Settings
from inference.settings.responses import MEMORY, OFF, ResponsePlace, runs_on_azure

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400


def open_store(settings: Settings) -> ResponseStore | None:
    """Return the store of the settings; None where nothing is kept.

    Nothing is read or written before the first request, so a store that is away stops no start.
    """
    place, largest = _place(settings), settings.responses_max_bytes
    if place == OFF:
        if settings.response_place != OFF:
            unusable = settings.response_place
            log.warning("No responses are kept: %s cannot be written. Set INFERENCE_RESPONSES.", unusable)
        return None
    if isinstance(place, Container):
        from inference.response_store.blob import BlobStore

        return BlobStore(place, largest, key=settings.storage_key)
    if runs_on_azure():
        log.warning("INFERENCE_RESPONSES is %s, which other instances do not see: set a container.", place)
    if place == MEMORY:
        from inference.response_store.memory import MemoryStore

        return MemoryStore(largest)
    from inference.response_store.sqlite import SqliteStore

    return SqliteStore(Path(place), largest)


def expiry(created: float, settings: Settings) -> float:
    """Return the time at which a response of a time is gone, both in seconds since the epoch."""
    return created + settings.responses_days * DAY_SECONDS


def describe_store(settings: Settings) -> str:
    """Return where responses are kept, for `/health` and `/info`: `off`, `memory`, `file` or `container`."""
    place = _place(settings)
    if isinstance(place, str):
        return place
    return "container" if isinstance(place, Container) else "file"


def _place(settings: Settings) -> ResponsePlace:
    """Return the place of the settings; `off` where nothing is set and the default file cannot be written.

    A file that an operator names and that cannot be written is an error of every request instead.
    """
    place = settings.response_place
    if settings.responses is None and isinstance(place, Path) and not is_usable(place):
        return OFF
    return place
