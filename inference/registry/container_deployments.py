"""The deployments of blob containers, as the registry needs them: listed, fetched, and pinned while open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

from inference.cards.card import CardError, Deployment, parse
from inference.errors import DeploymentBroken, DeploymentTooLarge, ModelNotReady
from inference.registry.folders import BrokenDeployment, Entry, check_card
from inference.settings import Container, Settings

if TYPE_CHECKING:
    from inference.blobs.containers import ContainerListing, ContainerSync
    from inference.blobs.disk import FileLock
    from inference.blobs.listing import BlobFolder
    from inference.blobs.progress import Progress

LISTED = "listed"

OnListed: TypeAlias = Callable[[Container, Sequence[Entry]], None]
"""A callback with all deployments of a container; called from another thread."""


class ContainerDeployments:
    """The deployments of all configured containers; without any, nothing is imported and nothing runs."""

    def __init__(self, settings: Settings, on_listed: OnListed) -> None:
        self._on_listed = on_listed
        self._folders: dict[Path, BlobFolder] = {}
        self._pins: dict[Path, FileLock] = {}
        self._lock = Lock()
        self._containers: ContainerSync | None = None
        if found := [location for location in settings.models if isinstance(location, Container)]:
            from inference.blobs.containers import ContainerSync

            self._containers = ContainerSync(settings, found, self._listed)

    @property
    def configured(self) -> bool:
        """True if any container is."""
        return self._containers is not None

    def start(self) -> None:
        """Start to list and to fetch, in threads."""
        if self._containers is not None:
            self._containers.start()

    def close(self) -> None:
        """Stop the threads."""
        if self._containers is not None:
            self._containers.close()

    @property
    def listing_problem(self) -> str:
        """The reason why not every container is listed yet; empty if all are."""
        return self._containers.listing_problem if self._containers is not None else ""

    @property
    def states(self) -> list[str]:
        """`LISTED` for each container, or the reason why it is not listed yet."""
        return [problem or LISTED for problem in self._containers.problems] if self._containers else []

    def wait_until_listed(self, seconds: float) -> bool:
        """Wait until every container is listed, and return True if that happened in time."""
        return self._containers is None or self._containers.wait_until_listed(seconds)

    def wait_until_fetched(self, deployment: Deployment, seconds: float) -> None:
        """Fetch a deployment and wait until it is on the disk or cannot be, for at most `seconds`."""
        folder = self._folders.get(deployment.folder)
        if folder is not None and self._containers is not None:
            self._containers.wait_until_fetched(folder, seconds)

    def progress(self, deployment: Deployment) -> Progress | None:
        """Return the progress of a deployment that is being fetched, None for all others."""
        folder = self._folders.get(deployment.folder)
        return self._containers.progress(folder) if folder is not None and self._containers else None

    def fetch_seconds(self, deployment: Deployment) -> float:
        """Return the seconds that this process took to fetch a deployment, 0 if it did not have to."""
        folder = self._folders.get(deployment.folder)
        return self._containers.fetch_seconds(folder) if folder is not None and self._containers else 0.0

    def require(self, deployment: Deployment) -> None:
        """Raise an error for a deployment that is not on the disk.

        Raises `ModelNotReady` while it is being fetched, `DeploymentTooLarge` if the disk can never hold it,
        and `DeploymentBroken` if its bytes are repeatedly not those that the container declares.
        """
        folder = self._folders.get(deployment.folder)
        if folder is None or self._containers is None or deployment.folder in self._pins:
            return
        progress = self._containers.request(folder)
        if progress is None:
            return
        if progress.failed:
            error = DeploymentBroken if progress.corrupt_fetches else DeploymentTooLarge
            raise error(f"The deployment {deployment.name} cannot be fetched: {progress.problem}.")
        state = f" ({progress.problem})" if progress.problem else f": {progress.text}"
        message = f"{deployment.name} is still being fetched{state}."
        raise ModelNotReady(message, retry_after=progress.remaining)

    def pin(self, deployment: Deployment) -> None:
        """Keep a deployment on the disk until `unpin`, after a check that its files are intact.

        Raises `ModelNotReady` if it is not there, or not intact.
        """
        folder = self._folders.get(deployment.folder)
        if folder is None or self._containers is None:
            return
        lock = self._containers.pin(folder)
        if lock is None or not self._containers.is_intact(folder):
            if lock is not None:
                lock.release()
            raise ModelNotReady(f"{deployment.name} is not on the disk any more, and is being fetched again.")
        self._pins[deployment.folder] = lock

    def unpin(self, deployment: Deployment) -> None:
        """Allow the eviction of a deployment from the disk."""
        lock = self._pins.pop(deployment.folder, None)
        if lock is not None:
            lock.release()

    def verify(self, deployment: Deployment) -> None:
        """Read all files of a deployment that could not be opened.

        Raises `ModelNotReady` if they differ from those that were fetched; they are fetched again.
        """
        folder = self._folders.get(deployment.folder)
        if folder is not None and self._containers is not None and not self._containers.verify(folder):
            raise ModelNotReady(f"{deployment.name} was damaged on the disk, and is being fetched again.")

    def _listed(self, container: Container, listings: Sequence[ContainerListing]) -> None:
        assert self._containers is not None
        entries = [_entry(listing, self._containers.path(listing.folder)) for listing in listings]
        pairs = zip(listings, entries, strict=True)
        new = {entry.folder: listing.folder for listing, entry in pairs if isinstance(entry, Deployment)}
        with self._lock:  # containers are listed at the same time
            self._folders = {**self._folders, **new}
            self._on_listed(container, entries)


def _entry(listing: ContainerListing, path: Path) -> Entry:
    """Return the deployment of a card and its files' names, or the reason why it is none."""
    try:
        card = parse(listing.card)
        check_card(card)
        names = {blob.path for blob in listing.folder.blobs}
        for role, name in card.files.items():
            if name not in names:
                raise CardError(f"files.{role}: {name!r} is not in the container")
    except CardError as error:
        return BrokenDeployment(listing.folder.name, str(error))
    return Deployment(card, path)
