"""Fetches everything under a prefix into a folder of the caller's, once, with the same care."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from inference.blobs.client import BACKOFF, open_container
from inference.blobs.errors import Gone
from inference.blobs.listing import files
from inference.blobs.progress import Progress
from inference.blobs.transfer import THREADS, Transfer
from inference.settings import Container

Report = Callable[[int, int], None]
"""Is told the bytes that are there and the bytes of all; called from several threads."""


def fetch_prefix(
    container: Container,
    target: Path,
    *,
    report: Report = lambda done, total: None,  # noqa: ARG005
    key: str = "",
    sas: str = "",
    stop: Event | None = None,
    backoff: int = BACKOFF,
) -> list[Path]:
    """The files that were fetched, under `target` as under the prefix.

    `key` and `sas` as in the settings; without them the identity of whoever runs this is used. Files that
    are there whole already are fetched again; what an earlier call left unfinished is gone on with. Raises
    `blobs.errors.BlobError`, `Gone` where there is nothing, and `Stopped` when `stop` is set.
    """
    client = open_container(container, key=key, sas=sas, backoff=backoff)
    found = list(files(client, container))
    if not found:
        raise Gone(f"{container} holds no files")
    progress = Progress(sum(blob.size for blob in found))

    def count(size: int) -> None:
        progress.count(size)
        report(progress.done, progress.total)

    with ThreadPoolExecutor(THREADS) as pool:
        for blob in found:
            transfer = Transfer(client, blob, target / blob.path, count=count, stop=stop or Event())
            transfer.run(pool)
            transfer.commit()
    return [target / blob.path for blob in found]
