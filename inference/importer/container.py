"""Everything under a prefix, or some of it, fetched into a folder of the caller's with the same care."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, TypeAlias

from inference.blobs.client import BACKOFF, open_container
from inference.blobs.errors import BlobDenied, BlobError, BlobGone
from inference.blobs.listing import Blob, files
from inference.blobs.progress import Progress
from inference.blobs.transfer import THREADS, Transfer
from inference.importer.findings import ImporterError, Say, megabytes
from inference.importer.sources import Listing, SourceFile
from inference.settings import Container, Settings

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


KEYS = (
    "The address may carry a shared access signature; else INFERENCE_STORAGE_SAS, INFERENCE_STORAGE_KEY or "
    "`az login` open it, for an identity with the role Storage Blob Data Reader."
)
STEPS = 10
"""So often it is said how far the fetching is."""


@dataclass(frozen=True, slots=True)
class ContainerFiles:
    """What a container lists; fetched into `shelf`, where a run that was cut goes on."""

    container: Container
    prefix: PrefixFetch
    shelf: Path
    say: Say
    provider: str | None = None
    license: str | None = None

    @property
    def address(self) -> str:
        """Without what opens it."""
        return str(self.container)

    @property
    def origin(self) -> str:
        return str(self.container)

    @property
    def listing(self) -> Listing:
        return {blob.path: SourceFile(blob.size) for blob in self.prefix.blobs}

    def fetch(self, names: Sequence[str]) -> Mapping[str, Path]:
        with _sentences(self.container):
            self.prefix.fetch(self.shelf, names, report=told_in_steps(self.say))
        return {name: self.shelf / name for name in names}


def container_files(container: Container, shelf: Path, settings: Settings, say: Say) -> ContainerFiles:
    """Raises `ImporterError` when the storage refuses, cannot be reached or has nothing there."""
    with _sentences(container):
        prefix = PrefixFetch.listed(container, key=settings.storage_key, sas=settings.storage_sas)
    whole = sum(blob.size for blob in prefix.blobs)
    say(f"{container} lists {len(prefix.blobs)} files of {megabytes(whole)}.")
    return ContainerFiles(container, prefix, shelf, say)


def told_in_steps(say: Say) -> Callable[[int, int], None]:
    """Takes bytes that are there and bytes of all, from any thread, and says each tenth once."""
    lock, reached = Lock(), 0

    def report(done: int, total: int) -> None:
        nonlocal reached
        with lock:
            step = STEPS * done // max(total, 1)
            if step > reached:
                reached = step
                say(f"{megabytes(done)} of {megabytes(total)} are fetched.")

    return report


@contextmanager
def _sentences(container: Container) -> Iterator[None]:
    try:
        yield
    except BlobDenied as error:
        raise ImporterError(f"{container} does not open: {error}. {KEYS}") from None
    except BlobError as error:
        raise ImporterError(f"{container}: {error}. Nothing was added; the same command goes on.") from None
