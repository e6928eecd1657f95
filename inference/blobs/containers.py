"""The containers of INFERENCE_MODELS, listed and fetched by threads of their own while requests go on.

An unreachable container, a full disk, a role that is not effective yet: everything is retried with growing
pauses, until it succeeds or the process ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Event, Thread
from typing import TYPE_CHECKING, TypeAlias

from inference.blobs.client import BACKOFF, open_container
from inference.blobs.disk import MIB, FileLock
from inference.blobs.errors import (
    BlobChanged,
    BlobCorrupt,
    BlobError,
    BlobGone,
    BlobTooLarge,
    DiskFull,
    FetchStopped,
)
from inference.blobs.listing import CARD_FILE, BlobFolder, list_deployments, read_card
from inference.blobs.progress import Progress
from inference.blobs.store import Store
from inference.blobs.transfer import THREADS
from inference.settings import Container, Settings

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

log = logging.getLogger(__name__)

MAX_CORRUPT_FETCHES = 3
"""Fetches of a deployment with a file that is not its Content-MD5's, after which it is given up."""
LISTING = "the container is being listed"
UNEXPECTED = "it failed for an unexpected reason, which the log has"
MAX_PAUSE_SECONDS = 60.0
"""Seconds between two attempts, at most."""


@dataclass(frozen=True, slots=True)
class ContainerListing:
    """A deployment of a container: its files, and the bytes of its card."""

    folder: BlobFolder
    card: bytes


OnListed: TypeAlias = Callable[[Container, Sequence[ContainerListing]], None]
"""A callback with all deployments of a container, after each listing; called from another thread."""


class ContainerSync:
    """The containers and their copies on the disk. No request is sent before `start`."""

    def __init__(
        self,
        settings: Settings,
        containers: Sequence[Container],
        on_listed: OnListed,
        *,
        backoff: int = BACKOFF,
    ) -> None:
        """Take the callback for listings, and the seconds before the first retry."""
        self.store = Store(settings.cache_folder, limit=settings.cache_mb * MIB)
        self._settings = settings
        self._containers = containers
        self._on_listed = on_listed
        self._backoff = backoff
        self._clients: dict[Container, ContainerClient] = {}
        self._problems: dict[Container, str] = dict.fromkeys(containers, LISTING)
        self._progress: dict[str, Progress] = {}
        self._queue: list[BlobFolder] = []
        self._requested: set[str] = set()
        self._interrupt = False
        """Set to end a pause early, because a further deployment was requested."""
        self._listed: dict[Container, set[str]] = {}
        self._changed = Condition()
        self._stop = Event()
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Start to list and, if the settings say so, to fetch."""
        threads = [Thread(target=self._list, args=(each,), name="list") for each in self._containers]
        threads.append(Thread(target=self._fetch_all, name="fetch"))
        for thread in threads:
            thread.daemon = True
            thread.start()
        self._threads = threads

    def close(self) -> None:
        """Stop the threads; the finished ranges of a file stay for the next start."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    @property
    def listing_problem(self) -> str:
        """The reason why a container is not listed yet; empty if all are."""
        return next(filter(None, self.problems), "")

    @property
    def problems(self) -> list[str]:
        """The reason why each container is not listed yet; empty if it is."""
        return list(self._problems.values())

    def wait_until_listed(self, seconds: float) -> bool:
        """Wait until every container is listed, and return True if that happened in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._stop.is_set() or not self.listing_problem, seconds)

    def path(self, folder: BlobFolder) -> Path:
        """Return the path that a deployment has once it is fetched."""
        return self.store.path(folder)

    def request(self, folder: BlobFolder) -> Progress | None:
        """Fetch a deployment before all others, and return its progress; None if it is on the disk."""
        if self.store.path(folder).is_dir():
            return None
        with self._changed:
            progress = self._progress.setdefault(folder.version, Progress(folder.size))
            if not progress.failed:
                self._interrupt = self._interrupt or folder.version not in self._requested
                self._requested.add(folder.version)
                self._enqueue(folder, first=True)
            return progress

    def wait_until_fetched(self, folder: BlobFolder, seconds: float) -> None:
        """Request a deployment and wait until it is on the disk or cannot be, for at most `seconds`."""
        with self._changed:
            self.request(folder)
            self._changed.wait_for(lambda: self._stop.is_set() or folder not in self._queue, seconds)

    def progress(self, folder: BlobFolder) -> Progress | None:
        """Return the progress of a deployment that is to be fetched, None for all others."""
        progress = self._progress.get(folder.version)
        return progress if folder in self._queue or (progress and progress.failed) else None

    def fetch_seconds(self, folder: BlobFolder) -> float:
        """Return the seconds that this process took to fetch a deployment, 0 if it did not have to."""
        progress = self._progress.get(folder.version)
        return progress.seconds if progress else 0.0

    def is_intact(self, folder: BlobFolder) -> bool:
        """Return True if a deployment is on the disk as it was fetched; see `Store.ready`."""
        return self.store.ready(folder)

    def pin(self, folder: BlobFolder) -> FileLock | None:
        """Keep a deployment on the disk until the lock is released; None if it is not there."""
        return self.store.pin(folder)

    def verify(self, folder: BlobFolder) -> bool:
        """Return True if all bytes of a deployment are as fetched; files that differ are removed."""
        if self.store.verify(folder):
            return True
        log.error("%s differs from the files that were fetched; it is removed", folder.name)
        return False

    def _list(self, container: Container) -> None:
        for pause in self._pauses():
            try:
                self._relist(container)
                return
            except BlobError as error:
                self._problems[container] = str(error)
                log.warning("%s: %s; trying again in %.0f s", container, error, pause)
            except Exception:
                self._problems[container] = UNEXPECTED
                log.exception("%s could not be listed", container)
            if self._stop.wait(pause):
                return

    def _relist(self, container: Container) -> None:
        client = self._client(container)
        listings = [
            ContainerListing(folder, read_card(client, folder))
            for folder in list_deployments(client, container)
        ]
        self._on_listed(container, listings)
        if not listings:
            log.error("%s has no deployment: no %s in it or in a folder of it", container, CARD_FILE)
        with self._changed:
            self._queue = [folder for folder in self._queue if folder.container != container]
            for listing in listings if self._settings.fetch == "start" else ():
                self._enqueue(listing.folder)
            self._listed[container] = {listing.folder.version for listing in listings}
            self._problems[container] = ""
            self._changed.notify_all()

    def _enqueue(self, folder: BlobFolder, *, first: bool = False) -> None:
        self._progress.setdefault(folder.version, Progress(folder.size))
        if folder in self._queue and not first:
            return
        self._queue = [other for other in self._queue if other != folder]
        # The deployment that is being fetched is finished before the next one, even if no longer first.
        self._queue.insert(0 if first else len(self._queue), folder)
        self._changed.notify_all()

    def _fetch_all(self) -> None:
        with ThreadPoolExecutor(THREADS, thread_name_prefix="range") as pool:
            pauses = self._pauses()
            while (folder := self._next()) is not None:
                if self._fetch(folder, pool):
                    pauses = self._pauses()
                else:
                    self._pause(next(pauses))

    def _pause(self, seconds: float) -> None:
        """Wait before another attempt, unless a deployment is requested for the first time."""
        with self._changed:
            self._changed.wait_for(lambda: self._stop.is_set() or self._interrupt, seconds)
            self._interrupt = False

    def _dequeue(self, folder: BlobFolder) -> None:
        with self._changed:
            self._requested.discard(folder.version)
            self._queue = [other for other in self._queue if other != folder]
            self._changed.notify_all()

    def _client(self, container: Container) -> ContainerClient:
        if container not in self._clients:
            key, sas = self._settings.storage_key, self._settings.storage_sas
            self._clients[container] = open_container(container, key=key, sas=sas, backoff=self._backoff)
        return self._clients[container]

    def _pauses(self) -> Iterator[float]:
        pause = float(self._backoff)
        while True:
            yield pause
            pause = min(max(pause, 0.1) * 2, MAX_PAUSE_SECONDS)

    def _next(self) -> BlobFolder | None:
        """Wait for and return the next deployment to fetch, None when the process ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._stop.is_set() or self._queue)
            return None if self._stop.is_set() else self._queue[0]

    def _fetch(self, folder: BlobFolder, pool: ThreadPoolExecutor) -> bool:
        """Fetch a deployment, and return False if it has to be attempted again after a pause."""
        progress = self._progress[folder.version]
        progress.begin()
        try:
            client = self._client(folder.container)
            keep = set() if folder.version in self._requested else set().union(*self._listed.values())
            self.store.fetch(folder, client, pool, count=progress.count, stop=self._stop, keep=keep)
        except FetchStopped:
            return False
        except DiskFull as error:
            if folder.version in self._requested:
                self._note_failure(folder, progress, error)
                return False
            log.info("%s is fetched once it is requested: %s", folder.name, error)
        except BlobTooLarge as error:
            progress.problem, progress.failed = str(error), True
            log.error("%s cannot be fetched: %s", folder.name, error)
        except (BlobError, OSError) as error:
            self._note_failure(folder, progress, error)
            return False
        except Exception:
            progress.problem = UNEXPECTED
            log.exception("%s could not be fetched", folder.name)
            return False
        else:
            progress.end()
            log.info("%s was fetched: %s in %.1f s", folder.name, progress.text, progress.seconds)
        self._dequeue(folder)
        return True

    def _note_failure(self, folder: BlobFolder, progress: Progress, error: BlobError | OSError) -> None:
        """Note the problem, move the deployment behind the others, and list anew if it was replaced."""
        message = str(error) if isinstance(error, BlobError) else f"the disk failed: {error.strerror}"
        progress.problem = message
        progress.corrupt_fetches += isinstance(error, BlobCorrupt)
        progress.failed = progress.corrupt_fetches >= MAX_CORRUPT_FETCHES
        log.warning("%s is not fetched yet: %s", folder.name, progress.problem)
        if not isinstance(error, (BlobChanged, BlobGone)):
            with self._changed:
                others = [other for other in self._queue if other != folder]
                self._queue = others if progress.failed else [*others, folder]
            return
        try:
            self._relist(folder.container)
        except BlobError as listing_error:
            log.warning("%s", listing_error)
