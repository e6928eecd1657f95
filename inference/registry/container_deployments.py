"""Deployments that lie in blob containers, as the registry sees them: listed, fetched, held while open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

from inference.cards.card import CardError, Deployment, parse
from inference.errors import DeploymentBroken, DeploymentTooLarge, ModelNotReady
from inference.registry.catalog import BrokenDeployment, Entry, check
from inference.settings import Container, Settings

if TYPE_CHECKING:
    from inference.blobs.containers import ContainerListing, ContainerSync
    from inference.blobs.disk import FileLock
    from inference.blobs.listing import BlobFolder
    from inference.blobs.progress import Progress

LISTED = "listed"

Tell: TypeAlias = Callable[[Container, Sequence[Entry]], None]
"""Is told all deployments that a container has; from a thread of its own."""


class ContainerDeployments:
    """Nothing at all where no container is configured."""

    def __init__(self, settings: Settings, tell: Tell) -> None:
        self._tell = tell
        self._folders: dict[Path, BlobFolder] = {}
        self._held: dict[Path, FileLock] = {}
        self._lock = Lock()
        self._containers: ContainerSync | None = None
        if found := [place for place in settings.models if isinstance(place, Container)]:
            from inference.blobs.containers import ContainerSync

            self._containers = ContainerSync(settings, found, self._listed)

    def start(self) -> None:
        """Begins to list and to fetch, in threads."""
        if self._containers is not None:
            self._containers.start()

    def close(self) -> None:
        if self._containers is not None:
            self._containers.close()

    @property
    def unlisted(self) -> str:
        """Why not every container is known yet; empty when all are."""
        return self._containers.unlisted if self._containers is not None else ""

    @property
    def states(self) -> list[str]:
        """Of each container: `LISTED`, or why it is not."""
        return [problem or LISTED for problem in self._containers.problems] if self._containers else []

    def settle(self, seconds: float) -> bool:
        """Waits until every container has been listed; says whether it was."""
        return self._containers is None or self._containers.settle(seconds)

    def bring(self, deployment: Deployment, seconds: float) -> None:
        """Fetches a deployment, waiting for it at most so long."""
        folder = self._folders.get(deployment.folder)
        if folder is not None and self._containers is not None:
            self._containers.bring(folder, seconds)

    def progress(self, deployment: Deployment) -> Progress | None:
        """How far a deployment is that is wanted and not here."""
        folder = self._folders.get(deployment.folder)
        return self._containers.progress(folder) if folder is not None and self._containers else None

    def seconds(self, deployment: Deployment) -> float:
        """What fetching took; 0 where nothing was fetched."""
        folder = self._folders.get(deployment.folder)
        return self._containers.seconds(folder) if folder is not None and self._containers else 0.0

    def require(self, deployment: Deployment) -> None:
        """Raises `ModelNotReady` while a deployment is not here, and where it never will be
        `DeploymentTooLarge` (for the disk) or `DeploymentBroken` (its bytes are not what they should be)."""
        folder = self._folders.get(deployment.folder)
        if folder is None or self._containers is None or deployment.folder in self._held:
            return
        progress = self._containers.want(folder)
        if progress is None:
            return
        if progress.hopeless:
            error = DeploymentBroken if progress.spoilt else DeploymentTooLarge
            raise error(f"The deployment {deployment.name} cannot be fetched: {progress.problem}.")
        so_far = f" ({progress.problem})" if progress.problem else f": {progress.text}"
        message = f"{deployment.name} is still being fetched{so_far}."
        raise ModelNotReady(message, retry_after=progress.remaining)

    def hold(self, deployment: Deployment) -> None:
        """Keeps a deployment on the disk until `release`, having looked whether it is whole.

        Raises `ModelNotReady` where it is not, or not any more.
        """
        folder = self._folders.get(deployment.folder)
        if folder is None or self._containers is None:
            return
        lock = self._containers.hold(folder)
        if lock is None or not self._containers.sound(folder):
            if lock is not None:
                lock.release()
            raise ModelNotReady(f"{deployment.name} is not on the disk any more, and is being fetched again.")
        self._held[deployment.folder] = lock

    def release(self, deployment: Deployment) -> None:
        """Lets a deployment give way on the disk."""
        lock = self._held.pop(deployment.folder, None)
        if lock is not None:
            lock.release()

    def doubt(self, deployment: Deployment) -> None:
        """Reads a deployment through that does not open.

        Raises `ModelNotReady` where the files were not what had been fetched: they are fetched again.
        """
        folder = self._folders.get(deployment.folder)
        if folder is not None and self._containers is not None and self._containers.doubt(folder):
            raise ModelNotReady(f"{deployment.name} was damaged on the disk, and is being fetched again.")

    def _listed(self, container: Container, listed: Sequence[ContainerListing]) -> None:
        assert self._containers is not None
        entries = [_entry(one, self._containers.path(one.folder)) for one in listed]
        here = zip(listed, entries, strict=True)
        new = {entry.folder: one.folder for one, entry in here if isinstance(entry, Deployment)}
        with self._lock:  # containers are listed at the same time
            self._folders = {**self._folders, **new}
            self._tell(container, entries)


def _entry(listed: ContainerListing, path: Path) -> Entry:
    """A deployment judged by its card and by the names of its files."""
    try:
        card = parse(listed.card)
        check(card)
        names = {blob.path for blob in listed.folder.blobs}
        for role, name in card.files.items():
            if name not in names:
                raise CardError(f"files.{role}: {name!r} is not in the container")
    except CardError as error:
        return BrokenDeployment(listed.folder.name, str(error))
    return Deployment(card, path)
