"""The store of the settings. The module of each kind is imported where it is used."""

from __future__ import annotations

from pathlib import Path

from inference.response_store.store import ResponseStore
from inference.settings import Container, Settings
from inference.settings.responses import MEMORY, OFF

DAY_SECONDS = 86_400


def open_store(settings: Settings) -> ResponseStore | None:
    """Return the store of the settings; None where nothing is kept.

    Nothing is read or written before the first request, so a store that is away stops no start.
    """
    place, largest = settings.response_place, settings.responses_max_bytes
    if place == OFF:
        return None
    if place == MEMORY:
        from inference.response_store.memory import MemoryStore

        return MemoryStore(largest)
    if isinstance(place, Container):
        from inference.response_store.blob import BlobStore

        return BlobStore(place, largest, key=settings.storage_key)
    from inference.response_store.sqlite import SqliteStore

    return SqliteStore(Path(place), largest)


def expiry(created: float, settings: Settings) -> float:
    """Return the time at which a response of a time is gone, both in seconds since the epoch."""
    return created + settings.responses_days * DAY_SECONDS


def describe_store(settings: Settings) -> str:
    """Return where responses are kept, for `/health` and `/info`: `off`, `memory`, `file` or `container`."""
    place = settings.response_place
    if isinstance(place, str):
        return place
    return "container" if isinstance(place, Container) else "file"
