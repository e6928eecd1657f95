"""Everything under a prefix, or some of it, fetched into a folder of the caller's with the same care."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, TypeAlias

from inference.blobs.client import BACKOFF, open_container
from inference.blobs.errors import BlobGone
from inference.blobs.listing import Blob, files
from inference.blobs.progress import Progress
from inference.blobs.transfer import THREADS, Transfer
from inference.settings import Container

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

Report: TypeAlias = Callable[[int, int], None]
"""Is told the bytes that are there and the bytes of all; called from several threads."""


def silent(done: int, total: int) -> None:
    """A `Report` that nobody reads."""


@dataclass(frozen=True, slots=True)
class PrefixFetch:
    """The versions of the files that a prefix had when it was listed."""

    client: ContainerClient
    blobs: tuple[Blob, ...]

    @classmethod
    def listed(
        cls, container: Container, *, key: str = "", sas: str = "", backoff: int = BACKOFF
    ) -> PrefixFetch:
        """`key` and `sas` as in the settings; without them the identity of whoever runs this is used.

        Raises `blobs.errors.BlobError`, `BlobGone` where there is nothing.
        """
        client = open_container(container, key=key, sas=sas, backoff=backoff)
        found = tuple(files(client, container))
        if not found:
            raise BlobGone(f"{container} holds no files")
        return cls(client, found)

    def fetch(
        self,
        target: Path,
        names: Collection[str] | None = None,
        *,
        report: Report = silent,
        stop: Event | None = None,
    ) -> list[Path]:
        """The files that were fetched, under `target` as under the prefix; `names` limits them to some.

        Files that are there whole already are fetched again; what an earlier call left unfinished is gone on
        with. Raises `blobs.errors.BlobError`, and `FetchStopped` when `stop` is set.
        """
        wanted = [blob for blob in self.blobs if names is None or blob.path in names]
        progress = Progress(sum(blob.size for blob in wanted))

        def count(size: int) -> None:
            progress.count(size)
            report(progress.done, progress.total)

        with ThreadPoolExecutor(THREADS) as pool:
            for blob in wanted:
                transfer = Transfer(self.client, blob, target / blob.path, count=count, stop=stop or Event())
                transfer.run(pool)
                transfer.commit()
        return [target / blob.path for blob in wanted]
