"""The containers of INFERENCE_MODELS: listed and fetched by threads of their own, while requests go on.

A container that cannot be reached, a disk that is full, a role that has not travelled yet: all is tried
again, with growing pauses, until it helps or the process ends.
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
from inference.blobs.listing import BlobFolder, deployments, read_card
from inference.blobs.progress import Progress
from inference.blobs.store import Store
from inference.blobs.transfer import THREADS
from inference.settings import Container, Settings

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

log = logging.getLogger(__name__)

SPOILT = 3
"""So often a file is fetched whose bytes are not those of its Content-MD5; then it is given up."""
UNEXPECTED = "it failed for a reason that stands in the log"
LONGEST_PAUSE = 60.0
"""Seconds between two tries, at most."""


@dataclass(frozen=True, slots=True)
class ContainerListing:
    """A deployment that a container has: its files, and the bytes of its card."""

    folder: BlobFolder
    card: bytes


Tell: TypeAlias = Callable[[Container, Sequence[ContainerListing]], None]
"""Is told all that a container has, each time it was listed; from a thread of its own."""


class ContainerSync:
    """Made without asking anybody anything; `start` begins."""

    def __init__(
        self, settings: Settings, containers: Sequence[Container], tell: Tell, *, backoff: int = BACKOFF
    ) -> None:
        self.store = Store(settings.cache_folder, limit=settings.cache_mb * MIB)
        self._settings = settings
        self._containers = containers
        self._tell = tell
        self._backoff = backoff
        self._clients: dict[Container, ContainerClient] = {}
        self._problems: dict[Container, str] = dict.fromkeys(containers, "it is being listed")
        self._progress: dict[str, Progress] = {}
        self._queue: list[BlobFolder] = []
        self._wanted: set[str] = set()
        self._hurry = False
        self._known: dict[Container, set[str]] = {}
        self._changed = Condition()
        self._stop = Event()
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Begins to list and, if the settings say so, to fetch."""
        threads = [Thread(target=self._list, args=(each,), name="list") for each in self._containers]
        threads.append(Thread(target=self._fetch_all, name="fetch"))
        for thread in threads:
            thread.daemon = True
            thread.start()
        self._threads = threads

    def close(self) -> None:
        """Ends the threads; what was fetched of a file stays for the next start."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    @property
    def unlisted(self) -> str:
        """Why it is not known what a container has, in a sentence; empty when all have been listed."""
        return next(filter(None, self.problems), "")

    @property
    def problems(self) -> list[str]:
        """Of each container: why it is not known what it has; empty when it is."""
        return list(self._problems.values())

    def settle(self, seconds: float) -> bool:
        """Waits until every container has been listed; says whether it was."""
        with self._changed:
            return self._changed.wait_for(lambda: self._stop.is_set() or not self.unlisted, seconds)

    def path(self, folder: BlobFolder) -> Path:
        return self.store.path(folder)

    def want(self, folder: BlobFolder) -> Progress | None:
        """None where the deployment is there; else how far it is, and it comes before the others."""
        if self.store.path(folder).is_dir():
            return None
        with self._changed:
            progress = self._progress.setdefault(folder.version, Progress(folder.size))
            if not progress.hopeless:
                self._hurry = self._hurry or folder.version not in self._wanted
                self._wanted.add(folder.version)
                self._enqueue(folder, first=True)
            return progress

    def bring(self, folder: BlobFolder, seconds: float) -> None:
        """Waits until a deployment is there or cannot be, at most so long."""
        with self._changed:
            self.want(folder)
            self._changed.wait_for(lambda: self._stop.is_set() or folder not in self._queue, seconds)

    def progress(self, folder: BlobFolder) -> Progress | None:
        """How far a deployment is that is wanted and not there."""
        progress = self._progress.get(folder.version)
        return progress if folder in self._queue or (progress and progress.hopeless) else None

    def seconds(self, folder: BlobFolder) -> float:
        """What fetching took this process; 0 where it did not have to."""
        progress = self._progress.get(folder.version)
        return progress.seconds if progress else 0.0

    def sound(self, folder: BlobFolder) -> bool:
        """Whether a deployment is there as it was fetched."""
        return self.store.ready(folder)

    def hold(self, folder: BlobFolder) -> FileLock | None:
        """Keeps a deployment on the disk until the lock is released; None where it is not there."""
        return self.store.hold(folder)

    def doubt(self, folder: BlobFolder) -> bool:
        """Whether the files of a deployment that does not open were at fault; they are thrown away then."""
        if self.store.verify(folder):
            return False
        log.error("%s was not what had been fetched; it is thrown away", folder.name)
        return True

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
        listed = [
            ContainerListing(folder, read_card(client, folder)) for folder in deployments(client, container)
        ]
        self._tell(container, listed)
        if not listed:
            log.error("%s has no deployment: no %s in it or in a folder of it", container, "model.json")
        with self._changed:
            self._queue = [folder for folder in self._queue if folder.container != container]
            for one in listed if self._settings.fetch == "start" else ():
                self._enqueue(one.folder)
            self._known[container] = {one.folder.version for one in listed}
            self._problems[container] = ""
            self._changed.notify_all()

    def _enqueue(self, folder: BlobFolder, *, first: bool = False) -> None:
        self._progress.setdefault(folder.version, Progress(folder.size))
        if folder in self._queue and not first:
            return
        self._queue = [other for other in self._queue if other != folder]
        # What is being fetched just now is first already, and is finished before another is begun.
        self._queue.insert(0 if first else len(self._queue), folder)
        self._changed.notify_all()

    def _fetch_all(self) -> None:
        with ThreadPoolExecutor(THREADS, thread_name_prefix="range") as pool:
            pauses = self._pauses()
            while (folder := self._next()) is not None:
                if self._fetch(folder, pool):
                    pauses = self._pauses()
                else:
                    self._rest(next(pauses))

    def _rest(self, seconds: float) -> None:
        """Waits before another try, unless somebody asks for what nobody asked for before."""
        with self._changed:
            self._changed.wait_for(lambda: self._stop.is_set() or self._hurry, seconds)
            self._hurry = False

    def _done(self, folder: BlobFolder) -> None:
        with self._changed:
            self._wanted.discard(folder.version)
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
            pause = min(max(pause, 0.1) * 2, LONGEST_PAUSE)

    def _next(self) -> BlobFolder | None:
        """The next deployment to fetch, when there is one; None when the process ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._stop.is_set() or self._queue)
            return None if self._stop.is_set() else self._queue[0]

    def _fetch(self, folder: BlobFolder, pool: ThreadPoolExecutor) -> bool:
        """Whether there is nothing more to do for a deployment just now."""
        progress = self._progress[folder.version]
        progress.begin()
        try:
            client = self._client(folder.container)
            keep = set() if folder.version in self._wanted else set().union(*self._known.values())
            self.store.fetch(folder, client, pool, count=progress.count, stop=self._stop, keep=keep)
        except FetchStopped:
            return False
        except DiskFull as error:
            if folder.version in self._wanted:
                self._fail(folder, progress, error)
                return False
            log.info("%s is fetched when it is asked for: %s", folder.name, error)
        except BlobTooLarge as error:
            progress.problem, progress.hopeless = str(error), True
            log.error("%s cannot be fetched: %s", folder.name, error)
        except (BlobError, OSError) as error:
            self._fail(folder, progress, error)
            return False
        except Exception:
            progress.problem = UNEXPECTED
            log.exception("%s could not be fetched", folder.name)
            return False
        else:
            progress.end()
            log.info("%s was fetched: %s in %.1f s", folder.name, progress.text, progress.seconds)
        self._done(folder)
        return True

    def _fail(self, folder: BlobFolder, progress: Progress, error: BlobError | OSError) -> None:
        """Notes why, lets others have their turn, and looks anew at what was replaced."""
        said = str(error) if isinstance(error, BlobError) else f"the disk failed: {error.strerror}"
        progress.problem = said
        progress.spoilt += isinstance(error, BlobCorrupt)
        progress.hopeless = progress.spoilt >= SPOILT
        log.warning("%s is not fetched yet: %s", folder.name, progress.problem)
        if not isinstance(error, (BlobChanged, BlobGone)):
            with self._changed:
                others = [other for other in self._queue if other != folder]
                self._queue = others if progress.hopeless else [*others, folder]
            return
        try:
            self._relist(folder.container)
        except BlobError as again:
            log.warning("%s", again)
