"""Deployments of containers: their entries, the errors while they are fetched, and pins on the disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from inference.backends import BACKENDS
from inference.blobs import containers
from inference.blobs.containers import ContainerListing, OnListed
from inference.blobs.listing import Blob, BlobFolder
from inference.blobs.progress import Progress
from inference.cards.card import Deployment, parse
from inference.errors import DeploymentBroken, DeploymentTooLarge, ModelNotReady
from inference.registry.container_deployments import ContainerDeployments
from inference.registry.folders import BrokenDeployment, Entry
from inference.settings import Container, Settings
from tests.support.cards import CHAT

CONTAINER = Container("https://acct.blob.core.windows.net", "models")
FILES = {"files": {"tokenizer": "tokenizer.json"}}


class FakeLock:
    """A lock that records its release."""

    def __init__(self) -> None:
        self.released = False

    def release(self) -> None:
        self.released = True


class FakeSync:
    """A `ContainerSync` without threads or storage, whose state a test sets."""

    def __init__(self, settings: Settings, locations: Sequence[Container], on_listed: OnListed) -> None:
        assert list(locations) == [CONTAINER]
        self.on_listed = on_listed
        self.problems = ["the container is being listed"]
        self.pending: Progress | None = None
        self.lock: FakeLock | None = FakeLock()
        self.intact = True
        self.requests: list[str] = []

    def path(self, folder: BlobFolder) -> Path:
        return Path("/cache") / folder.name

    def request(self, folder: BlobFolder) -> Progress | None:
        self.requests.append(folder.name)
        return self.pending

    def pin(self, folder: BlobFolder) -> FakeLock | None:
        return self.lock

    def is_intact(self, folder: BlobFolder) -> bool:
        return self.intact

    def verify(self, folder: BlobFolder) -> bool:
        return self.intact


class Listed:
    """The deployments of a container under test."""

    def __init__(self, settings: Settings) -> None:
        self.entries: list[Entry] = []
        self.deployments = ContainerDeployments(settings, self._on_listed)
        self.sync = cast(FakeSync, self.deployments._containers)

    def _on_listed(self, container: Container, entries: Sequence[Entry]) -> None:
        assert container == CONTAINER
        self.entries = list(entries)

    def list(self, *names: str, files: Sequence[str] = ("tokenizer.json",), **card: Any) -> Deployment:
        """List deployments with these cards and files, and return the first one."""
        self.sync.on_listed(CONTAINER, [listing(name, files, **card) for name in names])
        first = self.entries[0]
        assert isinstance(first, Deployment)
        return first


def listing(name: str, files: Sequence[str] = ("tokenizer.json",), **card: Any) -> ContainerListing:
    blobs = [Blob(f"{name}/{path}", path, "etag", 10, None) for path in ("model.json", *files)]
    content = json.dumps({**CHAT, **FILES, "name": name, **card}).encode()
    return ContainerListing(BlobFolder(CONTAINER, name, tuple(blobs)), content)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Listed:
    monkeypatch.setattr(containers, "ContainerSync", FakeSync)
    return Listed(Settings(models=(CONTAINER,)))


def test_without_containers_all_is_listed_and_every_deployment_is_there(tmp_path: Path) -> None:
    deployments = ContainerDeployments(Settings(models=(tmp_path,)), lambda container, entries: None)
    local = Deployment(parse(listing("local").card), tmp_path)
    deployments.start()
    assert (deployments.listing_problem, deployments.states) == ("", [])
    assert deployments.wait_until_listed(0)
    assert deployments.progress(local) is None
    assert deployments.fetch_seconds(local) == 0
    deployments.require(local)
    deployments.pin(local)
    deployments.verify(local)
    deployments.unpin(local)
    deployments.close()


def test_a_listed_card_is_a_deployment_at_its_path_on_the_disk(listed: Listed) -> None:
    deployment = listed.list("tiny")
    assert (deployment.name, deployment.folder) == ("tiny", Path("/cache/tiny"))


def test_a_card_without_its_files_or_its_backend_is_broken(listed: Listed) -> None:
    listed.sync.on_listed(CONTAINER, [listing("bare", ()), listing("odd", backend="magic")])
    assert [
        (entry.name, entry.reason) for entry in listed.entries if isinstance(entry, BrokenDeployment)
    ] == [
        ("bare", "files.tokenizer: 'tokenizer.json' is not in the container"),
        ("odd", f"model.json: backend: 'magic' is none of {', '.join(BACKENDS)}"),
    ]


def test_the_state_of_a_container_is_its_problem_until_it_is_listed(listed: Listed) -> None:
    assert listed.deployments.states == ["the container is being listed"]
    listed.sync.problems = [""]
    assert listed.deployments.states == ["listed"]


def test_a_deployment_on_the_disk_is_required_without_an_error(listed: Listed) -> None:
    listed.deployments.require(listed.list("tiny"))
    assert listed.sync.requests == ["tiny"]


def test_a_deployment_that_is_fetched_is_not_ready_with_its_progress(listed: Listed) -> None:
    listed.sync.pending = Progress(90_000_000, done=12_000_000)
    with pytest.raises(ModelNotReady) as refused:
        listed.deployments.require(listed.list("tiny"))
    assert refused.value.message == "tiny is still being fetched: 12 of 90 MB."
    assert refused.value.headers == {"Retry-After": "1"}


def test_a_problem_of_fetching_is_in_the_message(listed: Listed) -> None:
    listed.sync.pending = Progress(100, problem="the disk is full")
    with pytest.raises(ModelNotReady) as refused:
        listed.deployments.require(listed.list("tiny"))
    assert refused.value.message == "tiny is still being fetched (the disk is full)."
    assert refused.value.headers == {"Retry-After": "2"}


@pytest.mark.parametrize(("corrupt", "error"), [(0, DeploymentTooLarge), (3, DeploymentBroken)])
def test_a_deployment_that_cannot_be_fetched_is_refused_with_its_reason(
    listed: Listed, corrupt: int, error: type[Exception]
) -> None:
    listed.sync.pending = Progress(100, problem="the reason", failed=True, corrupt_fetches=corrupt)
    with pytest.raises(error, match="The deployment tiny cannot be fetched: the reason"):
        listed.deployments.require(listed.list("tiny"))


def test_a_pinned_deployment_is_not_requested_again_until_unpinned(listed: Listed) -> None:
    deployment, lock = listed.list("tiny"), listed.sync.lock
    assert lock is not None
    listed.deployments.pin(deployment)
    listed.sync.pending = Progress(100)
    listed.deployments.require(deployment)
    assert (listed.sync.requests, lock.released) == ([], False)
    listed.deployments.unpin(deployment)
    assert lock.released
    with pytest.raises(ModelNotReady):
        listed.deployments.require(deployment)


def test_a_deployment_that_is_gone_or_damaged_cannot_be_pinned(listed: Listed) -> None:
    deployment, lock = listed.list("tiny"), listed.sync.lock
    assert lock is not None
    listed.sync.intact = False
    with pytest.raises(ModelNotReady, match="tiny is not on the disk any more, and is being fetched again"):
        listed.deployments.pin(deployment)
    assert lock.released
    listed.sync.intact, listed.sync.lock = True, None
    with pytest.raises(ModelNotReady):
        listed.deployments.pin(deployment)


def test_a_damaged_deployment_is_fetched_again(listed: Listed) -> None:
    deployment = listed.list("tiny")
    listed.deployments.verify(deployment)
    listed.sync.intact = False
    with pytest.raises(ModelNotReady, match="tiny was damaged on the disk, and is being fetched again"):
        listed.deployments.verify(deployment)
