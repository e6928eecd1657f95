"""Listing and fetching in the background: what comes first, what waits, what is said meanwhile."""

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
from tests.blobs.faulty import Asked, Fault, Proxy, proxy
from tests.blobs.fetching import PART, put
from tests.blobs.storage import KEY, Bucket, Storage

PATIENCE = 60


@pytest.fixture
def between(storage: Storage) -> Iterator[Proxy]:
    with proxy(storage.url) as made:
        yield made


@pytest.fixture
def bucket(storage: Storage) -> Bucket:
    return storage.container()


class Told:
    """What a container was said to have."""

    def __init__(self) -> None:
        self.listed: dict[str, BlobFolder] = {}
        self.times = 0

    def __call__(self, container: Container, listed: Sequence[ContainerListing]) -> None:
        self.listed = {one.folder.name: one.folder for one in listed}
        self.times += 1


@contextmanager
def containers(where: Container, root: Path, **settings: object) -> Iterator[tuple[ContainerSync, Told]]:
    told = Told()
    made = ContainerSync(
        Settings(cache=root, storage_key=KEY, **settings),  # type: ignore[arg-type]
        [where],
        told,
        backoff=0,
    )
    made.store = Store(root, limit=made.store.room.limit, part=PART)
    made.start()
    try:
        assert made.settle(PATIENCE)
        yield made, told
    finally:
        made.close()


def names(asked: Sequence[Asked]) -> list[str]:
    """The deployments whose weights were asked for, each time another one was."""
    found = [one.path.split("?")[0].split("/")[-2] for one in asked if ".onnx" in one.path]
    return [name for index, name in enumerate(found) if index == 0 or found[index - 1] != name]


def test_everything_is_fetched_one_after_the_other(bucket: Bucket, between: Proxy, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        put(bucket, name)
    with containers(bucket.at(server=between.url), tmp_path) as (made, told):
        for folder in told.listed.values():
            made.bring(folder, PATIENCE)
            assert made.want(folder) is None
            assert made.sound(folder)
        assert names(between.seen) == ["a", "b", "c"]


def test_what_a_request_wants_comes_before_the_rest(bucket: Bucket, between: Proxy, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        put(bucket, name)
    first = Event()

    def hold(asked: Asked) -> Fault | None:
        if ".onnx" in asked.path and not first.is_set():
            between.gate.clear()
            first.set()
        return None

    between.fault = hold
    with containers(bucket.at(server=between.url), tmp_path) as (made, told):
        assert first.wait(PATIENCE)
        progress = made.want(told.listed["c"])
        assert isinstance(progress, Progress)
        between.gate.set()
        made.bring(told.listed["c"], PATIENCE)
        made.bring(told.listed["b"], PATIENCE)
        assert names(between.seen) == ["a", "c", "b"]


def test_fetching_ahead_takes_nothing_away_but_asking_does(bucket: Bucket, tmp_path: Path) -> None:
    """Three deployments of which the disk may hold two."""
    for number, name in enumerate(("a", "b", "c")):
        put(bucket, name, seed=number, size=700_000)
    with containers(bucket.at(), tmp_path, cache_mb=2) as (made, told):
        a, b, c = (told.listed[name] for name in "abc")
        until(lambda: made.progress(c) is None)
        assert (made.sound(a), made.sound(b), made.sound(c)) == (True, True, False)

        held = made.hold(b)
        assert held is not None
        made.bring(c, PATIENCE)
        assert (made.sound(a), made.sound(b), made.sound(c)) == (False, True, True)
        held.release()


def test_a_deployment_that_is_replaced_while_it_is_fetched_is_listed_anew(
    bucket: Bucket, between: Proxy, tmp_path: Path
) -> None:
    put(bucket, "a", seed=1)
    new: list[bytes] = []

    def replace(asked: Asked) -> Fault | None:
        if len(between.ranges) == 2 and not new:
            new.append(put(bucket, "a", seed=2))
        return None

    between.fault = replace
    with containers(bucket.at(server=between.url), tmp_path) as (made, told):
        until(lambda: told.times == 2 and made.want(told.listed["a"]) is None)
        assert (made.path(told.listed["a"]) / "model.onnx").read_bytes() == new[0]


def test_a_problem_is_told_while_it_lasts(bucket: Bucket, between: Proxy, tmp_path: Path) -> None:
    put(bucket, "a")
    between.fault = lambda asked: Fault(cut=5) if ".onnx" in asked.path else None
    with containers(bucket.at(server=between.url), tmp_path) as (made, told):
        progress = made.want(told.listed["a"])
        assert progress is not None
        until(lambda: bool(progress.problem))
        assert progress.body()["problem"] == "Reading a/model.onnx: the storage's answer broke off"
        assert not progress.hopeless
        between.fault = lambda asked: None
        made.bring(told.listed["a"], PATIENCE)
        assert progress.body() == {"bytes": progress.total, "total": progress.total}


def test_closing_ends_what_is_being_fetched(bucket: Bucket, between: Proxy, tmp_path: Path) -> None:
    put(bucket, "a")
    with containers(bucket.at(server=between.url), tmp_path) as (made, told):
        folder = told.listed["a"]
    assert made.path(folder).is_dir() or not list(tmp_path.glob("folders/*/"))
    assert not [thread for thread in made._threads if thread.is_alive()]


def test_how_long_it_is_going_to_take() -> None:
    now = [0.0]
    progress = Progress(100_000_000, clock=lambda: now[0])
    assert progress.remaining == 2
    progress.begin()
    now[0] = 5.0
    progress.count(20_000_000)
    assert progress.remaining == 20
    assert progress.text == "20 of 100 MB"
    now[0] = 500.0
    assert progress.remaining == 60
    progress.count(80_000_000)
    assert progress.remaining == 1


def until(reached: Callable[[], bool]) -> None:
    """Waits for other threads, which cannot say that they are there."""
    pause = Event()
    for _ in range(600):
        if reached():
            return
        pause.wait(0.05)
    raise AssertionError("it was not reached")
