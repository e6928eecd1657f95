"""Listing and fetching in the background: the sequence, the waits, and the states meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from inference.blobs.containers import ContainerListing, ContainerSync
from inference.blobs.listing import BlobFolder
from inference.blobs.progress import Progress
from inference.blobs.store import Store
from inference.settings import Container, Settings
from tests.blobs.faulty import Fault, Proxy, StorageRequest, proxy
from tests.blobs.fetching import PART, put
from tests.blobs.storage import KEY, Bucket, Storage

PATIENCE = 60


@pytest.fixture
def faulty_storage(storage: Storage) -> Iterator[Proxy]:
    with proxy(storage.url) as made:
        yield made


@pytest.fixture
def bucket(storage: Storage) -> Bucket:
    return storage.container()


class Listings:
    """A callback that records the deployments of a container."""

    def __init__(self) -> None:
        self.folders: dict[str, BlobFolder] = {}
        self.times = 0

    def __call__(self, container: Container, listings: Sequence[ContainerListing]) -> None:
        self.folders = {listing.folder.name: listing.folder for listing in listings}
        self.times += 1


@contextmanager
def containers(
    container: Container, root: Path, **settings: object
) -> Iterator[tuple[ContainerSync, Listings]]:
    listings = Listings()
    made = ContainerSync(
        Settings(cache=root, storage_key=KEY, **settings),  # type: ignore[arg-type]
        [container],
        listings,
        backoff=0,
    )
    made.store = Store(root, limit=made.store.budget.limit, part=PART)
    made.start()
    try:
        assert made.wait_until_listed(PATIENCE)
        yield made, listings
    finally:
        made.close()


def names(request: Sequence[StorageRequest]) -> list[str]:
    """Return the deployments whose weights were requested, in sequence, repetitions joined."""
    found = [one.path.split("?")[0].split("/")[-2] for one in request if ".onnx" in one.path]
    return [name for index, name in enumerate(found) if index == 0 or found[index - 1] != name]


def test_deployments_are_fetched_one_after_the_other(
    bucket: Bucket, faulty_storage: Proxy, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        put(bucket, name)
    with containers(bucket.at(server=faulty_storage.url), tmp_path) as (made, listings):
        for folder in listings.folders.values():
            made.wait_until_fetched(folder, PATIENCE)
            assert made.request(folder) is None
            assert made.is_intact(folder)
        assert names(faulty_storage.requests) == ["a", "b", "c"]


def test_a_requested_deployment_is_fetched_before_the_others(
    bucket: Bucket, faulty_storage: Proxy, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        put(bucket, name)
    first = Event()

    def hold(request: StorageRequest) -> Fault | None:
        if ".onnx" in request.path and not first.is_set():
            faulty_storage.gate.clear()
            first.set()
        return None

    faulty_storage.fault = hold
    with containers(bucket.at(server=faulty_storage.url), tmp_path) as (made, listings):
        assert first.wait(PATIENCE)
        progress = made.request(listings.folders["c"])
        assert isinstance(progress, Progress)
        faulty_storage.gate.set()
        made.wait_until_fetched(listings.folders["c"], PATIENCE)
        made.wait_until_fetched(listings.folders["b"], PATIENCE)
        assert names(faulty_storage.requests) == ["a", "c", "b"]


def test_a_request_evicts_other_deployments_and_fetching_ahead_does_not(
    bucket: Bucket, tmp_path: Path
) -> None:
    """The budget has room for two of three deployments."""
    for number, name in enumerate(("a", "b", "c")):
        put(bucket, name, seed=number, size=700_000)
    with containers(bucket.at(), tmp_path, cache_mb=2) as (made, listings):
        a, b, c = (listings.folders[name] for name in "abc")
        until(lambda: made.progress(c) is None)
        assert (made.is_intact(a), made.is_intact(b), made.is_intact(c)) == (True, True, False)

        pin = made.pin(b)
        assert pin is not None
        made.wait_until_fetched(c, PATIENCE)
        assert (made.is_intact(a), made.is_intact(b), made.is_intact(c)) == (False, True, True)
        pin.release()


def test_a_deployment_replaced_while_it_is_fetched_is_listed_again(
    bucket: Bucket, faulty_storage: Proxy, tmp_path: Path
) -> None:
    put(bucket, "a", seed=1)
    new: list[bytes] = []

    def replace(request: StorageRequest) -> Fault | None:
        if len(faulty_storage.ranges) == 2 and not new:
            new.append(put(bucket, "a", seed=2))
        return None

    faulty_storage.fault = replace
    with containers(bucket.at(server=faulty_storage.url), tmp_path) as (made, listings):
        until(lambda: listings.times == 2 and made.request(listings.folders["a"]) is None)
        assert (made.path(listings.folders["a"]) / "model.onnx").read_bytes() == new[0]


def test_a_problem_is_shown_while_it_lasts(bucket: Bucket, faulty_storage: Proxy, tmp_path: Path) -> None:
    put(bucket, "a")
    faulty_storage.fault = lambda request: Fault(cut=5) if ".onnx" in request.path else None
    with containers(bucket.at(server=faulty_storage.url), tmp_path) as (made, listings):
        progress = made.request(listings.folders["a"])
        assert progress is not None
        until(lambda: bool(progress.problem))
        assert progress.body()["problem"] == "Reading a/model.onnx: the storage's answer broke off"
        assert not progress.failed
        faulty_storage.fault = lambda request: None
        made.wait_until_fetched(listings.folders["a"], PATIENCE)
        assert progress.body() == {"bytes": progress.total, "total": progress.total}


def test_closing_stops_the_threads(bucket: Bucket, faulty_storage: Proxy, tmp_path: Path) -> None:
    put(bucket, "a")
    with containers(bucket.at(server=faulty_storage.url), tmp_path) as (made, listings):
        folder = listings.folders["a"]
    assert made.path(folder).is_dir() or not list(tmp_path.glob("folders/*/"))
    assert not [thread for thread in made._threads if thread.is_alive()]


def until(reached: Callable[[], bool]) -> None:
    """Wait until other threads have reached a state."""
    pause = Event()
    for _ in range(600):
        if reached():
            return
        pause.wait(0.05)
    raise AssertionError("the state was not reached")
