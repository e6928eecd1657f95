"""The files under a prefix of a blob container: listed, then the chosen ones are fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from inference.blobs.errors import BlobDenied, BlobError
from inference.importer.findings import Say, megabytes
from inference.importer.prefix import PrefixFetch
from inference.importer.refusal import ImporterError
from inference.importer.stock import Listing, SourceFile
from inference.settings import Container, Settings

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
