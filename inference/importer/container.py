"""The files of a blob container: listed under a prefix, downloaded in parallel ranges, and resumed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

from inference.blobs.client import BACKOFF, open_container
from inference.blobs.errors import BlobDenied, BlobError, BlobGone
from inference.blobs.listing import Blob, list_files
from inference.blobs.progress import Progress
from inference.blobs.transfer import THREADS, Transfer
from inference.importer.findings import ImporterError, Report, format_size
from inference.importer.lfs import require_contents
from inference.importer.sources import Listing, SourceFile
from inference.settings import Container, Settings

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

OnProgress: TypeAlias = Callable[[int, int], None]
"""Callback for the bytes downloaded and the bytes of all files; called from several threads."""


def ignore_progress(done: int, total: int) -> None:
    """Ignore the progress of a download."""


@dataclass(frozen=True, slots=True)
class PrefixFetch:
    """Files under a prefix, in the versions that they had when they were listed."""

    client: ContainerClient
    blobs: tuple[Blob, ...]

    @classmethod
    def listed(
        cls, container: Container, *, key: str = "", sas: str = "", backoff: int = BACKOFF
    ) -> PrefixFetch:
        """List the files of a container.

        `key` and `sas` are the settings'; without either the identity of this process is used. Raises
        `blobs.errors.BlobError`, of it `BlobGone` where the prefix has no files.
        """
        client = open_container(container, key=key, sas=sas, backoff=backoff)
        found = tuple(list_files(client, container))
        if not found:
            raise BlobGone(f"{container} holds no files")
        return cls(client, found)

    def fetch(
        self,
        target: Path,
        names: Collection[str] | None = None,
        *,
        report: OnProgress = ignore_progress,
        stop: Event | None = None,
    ) -> list[Path]:
        """Download the named files, or all, and return their paths, under `target` as under the prefix.

        A complete file is downloaded again; an incomplete one of an earlier call is resumed. Raises
        `blobs.errors.BlobError`, and `FetchStopped` when `stop` is set.
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


CREDENTIALS = (
    "Give access with a shared access signature in the address, INFERENCE_STORAGE_SAS, "
    "INFERENCE_STORAGE_KEY, or `az login` as an identity with the role Storage Blob Data Reader."
)
PROGRESS_STEPS = 10
"""Most reports of a download's progress."""


@dataclass(frozen=True, slots=True)
class ContainerFiles:
    """The files of a container, downloaded into `downloads`, where an interrupted run is resumed."""

    container: Container
    prefix: PrefixFetch
    downloads: Path
    report: Report
    provider: str | None = None
    license: str | None = None

    @property
    def address(self) -> str:
        return str(self.container)

    def below(self, folder: str) -> str:
        return f"{self.container}/{quote(folder)}"

    @property
    def origin(self) -> str:
        return str(self.container)

    @property
    def listing(self) -> Listing:
        return {blob.path: SourceFile(blob.size) for blob in self.prefix.blobs}

    def fetch(self, names: Sequence[str]) -> Mapping[str, Path]:
        with _importer_errors(self.container):
            self.prefix.fetch(self.downloads, names, report=report_in_steps(self.report))
        files = {name: self.downloads / name for name in names}
        require_contents(
            files,
            "Run git lfs pull in the clone that they were uploaded from, upload them again, and run the same "
            "command again.",
        )
        return files


def container_files(
    container: Container, downloads: Path, settings: Settings, report: Report
) -> ContainerFiles:
    """List the files of a container.

    Raises `ImporterError` where the storage denies access, cannot be reached or has no files there.
    """
    with _importer_errors(container):
        prefix = PrefixFetch.listed(container, key=settings.storage_key, sas=settings.storage_sas)
    total = sum(blob.size for blob in prefix.blobs)
    report(f"{container} lists {len(prefix.blobs)} files of {format_size(total)}.")
    return ContainerFiles(container, prefix, downloads, report)


def report_in_steps(report: Report) -> OnProgress:
    """Return a progress callback, safe for threads, that reports each tenth of a download once."""
    lock, reached = Lock(), 0

    def on_progress(done: int, total: int) -> None:
        nonlocal reached
        with lock:
            step = PROGRESS_STEPS * done // max(total, 1)
            if step > reached:
                reached = step
                report(f"{format_size(done)} of {format_size(total)} are downloaded.")

    return on_progress


@contextmanager
def _importer_errors(container: Container) -> Iterator[None]:
    try:
        yield
    except BlobDenied as error:
        raise ImporterError(f"{container} cannot be opened: {error}. {CREDENTIALS}") from None
    except BlobError as error:
        raise ImporterError(
            f"{container}: {error}. Nothing was added; run the same command again to resume."
        ) from None
