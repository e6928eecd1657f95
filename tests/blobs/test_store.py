"""Fetching into a store, and what a store knows of what it has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from inference.blobs.disk import FileLock
from inference.blobs.errors import (
    BlobCorrupt,
    BlobDenied,
    BlobGone,
    BlobTooLarge,
    DiskFull,
    StorageUnreachable,
)
from inference.importer.container import PrefixFetch
from tests.blobs.faulty import Asked, Fault, proxy
from tests.blobs.fetching import PART, SIZE, fetch, listed, put
from tests.blobs.storage import KEY, Storage


def test_a_deployment_is_fetched_as_it_is(storage: Storage, tmp_path: Path) -> None:
    bucket = storage.container()
    weights = put(bucket)
    (folder,) = listed(bucket.at())
    counted: list[int] = []

    store = fetch(folder, tmp_path, count=counted.append)

    home = store.path(folder)
    assert store.ready(folder)
    assert (home / "model.onnx").read_bytes() == weights
    assert (home / "deep/down/notes.txt").read_bytes() == b""
    assert sum(counted) == folder.size
    assert not list(tmp_path.rglob("*.partial")) + list(tmp_path.rglob("*.ranges"))


@pytest.mark.parametrize("prefix", ["", "team", "team/tiny"])
def test_a_prefix_holds_deployments_or_is_one(storage: Storage, prefix: str) -> None:
    bucket = storage.container()
    for name in ("tiny", "other"):
        bucket.put(f"team/{name}/model.json", b"{}")
    bucket.put("tiny/model.json", b"{}")
    bucket.put("loose.txt", b"no deployment")
    found = {"": ["tiny"], "team": ["team/other", "team/tiny"], "team/tiny": ["team/tiny"]}

    assert [folder.path for folder in listed(bucket.at(prefix))] == found[prefix]


def test_a_signature_opens_as_a_key_does(storage: Storage, tmp_path: Path) -> None:
    bucket = storage.container()
    weights = put(bucket)
    where = bucket.at("tiny", sas=bucket.sas())
    told: list[tuple[int, int]] = []

    prefix = PrefixFetch.listed(where, backoff=0)
    paths = prefix.fetch(tmp_path, report=lambda done, total: told.append((done, total)))

    assert (tmp_path / "model.onnx").read_bytes() == weights
    assert {path.name for path in paths} == {"model.json", "model.onnx", "notes.txt"}
    assert told[-1][0] == told[-1][1]
    (card,) = prefix.fetch(tmp_path / "some", ["model.json"])
    assert list((tmp_path / "some").rglob("*")) == [card]


def test_names_that_lead_out_of_the_folder_are_not_listed(storage: Storage) -> None:
    bucket = storage.container()
    for name in ("a/model.onnx", "a//etc/passwd", "a/b//c"):
        bucket.put(name, b"x")
    assert [blob.path for blob in PrefixFetch.listed(bucket.at("a"), key=KEY, backoff=0).blobs] == [
        "model.onnx"
    ]


def test_what_the_storage_refuses_is_said_without_secrets(storage: Storage) -> None:
    bucket = storage.container()
    with pytest.raises(BlobDenied, match="the storage answered 403") as refused:
        PrefixFetch.listed(bucket.at(sas=bucket.sas() + "AAAA"), backoff=0)
    assert "sig" not in str(refused.value)
    with pytest.raises(BlobGone, match="ContainerNotFound"):
        PrefixFetch.listed(bucket.at().__class__(bucket.at().account, "nowhere"), key=KEY, backoff=0)
    with pytest.raises(BlobGone, match="holds no files"):
        PrefixFetch.listed(bucket.at("nothing"), key=KEY, backoff=0)
    with pytest.raises(StorageUnreachable, match="cannot be reached") as silent:
        PrefixFetch.listed(bucket.at(server="http://127.0.0.1:9", sas="sv=1&sig=s3cret"), backoff=0)
    assert "s3cret" not in str(silent.value)


def test_only_what_is_missing_is_fetched_when_the_card_changes(storage: Storage, tmp_path: Path) -> None:
    bucket = storage.container()
    put(bucket)
    (old,) = listed(bucket.at())
    fetch(old, tmp_path)
    bucket.put("tiny/model.json", b'{"name": "tiny", "changed": true}')

    with proxy(storage.url) as between:
        (new,) = listed(bucket.at(server=between.url))
        (same,) = listed(bucket.at())
        store = fetch(same, tmp_path)

    assert new.version != old.version, "another account"
    assert same.version != old.version
    assert not between.ranges
    assert b"changed" in (store.path(same) / "model.json").read_bytes()


def test_bytes_that_are_not_those_of_the_md5_are_thrown_away(storage: Storage, tmp_path: Path) -> None:
    bucket = storage.container()
    weights = put(bucket)

    def spoil(asked: Asked) -> Fault | None:
        return Fault(spoil=True) if "model.onnx" in asked.path and f"bytes={PART}-" in asked.range else None

    with proxy(storage.url) as between:
        (folder,) = listed(bucket.at(server=between.url))
        between.fault = spoil
        with pytest.raises(BlobCorrupt, match=r"model\.onnx: the bytes that came are not those"):
            fetch(folder, tmp_path)
        assert not list(tmp_path.rglob("*.partial"))
        between.fault = lambda asked: None
        store = fetch(folder, tmp_path)
    assert (store.path(folder) / "model.onnx").read_bytes() == weights


def test_a_file_that_is_touched_is_read_through_and_a_changed_one_fetched_again(
    storage: Storage, tmp_path: Path
) -> None:
    bucket = storage.container()
    weights = put(bucket)
    (folder,) = listed(bucket.at())
    store = fetch(folder, tmp_path)
    path = store.path(folder) / "model.onnx"

    os.utime(path, ns=(1, 1))
    assert store.ready(folder), "only its date is another"
    path.write_bytes(b"x" + weights[1:])
    assert not store.ready(folder)
    assert not path.exists()

    fetch(folder, tmp_path)
    assert path.read_bytes() == weights


def test_verifying_finds_what_dates_do_not_show(storage: Storage, tmp_path: Path) -> None:
    bucket = storage.container()
    put(bucket)
    (folder,) = listed(bucket.at())
    store = fetch(folder, tmp_path)
    path = store.path(folder) / "model.onnx"
    was = path.stat()
    with path.open("r+b") as file:
        file.write(b"rot")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))

    assert store.ready(folder), "what no date shows is not looked for at every start"
    assert not store.verify(folder)
    assert not store.path(folder).exists()


def test_what_is_longest_unused_gives_way_and_what_is_in_use_does_not(
    storage: Storage, tmp_path: Path
) -> None:
    bucket = storage.container()
    for number, name in enumerate(("first", "second", "third")):
        put(bucket, name, seed=number)
    first, second, third = listed(bucket.at())
    limit = 3 * SIZE
    store = fetch(first, tmp_path, limit=limit)
    fetch(second, tmp_path, limit=limit)
    for age, folder in ((1, second), (2, first)):
        os.utime(store.path(folder).with_name(folder.version + ".lock"), (age, age))
    held = store.hold(second)
    assert held is not None
    os.utime(store.path(second).with_name(second.version + ".lock"), (1, 1))

    fetch(third, tmp_path, limit=limit)

    assert (store.ready(first), store.ready(second), store.ready(third)) == (False, True, True)
    again = store.hold(third)
    assert again is not None
    with pytest.raises(DiskFull, match="the disk lacks"):
        fetch(first, tmp_path, limit=limit)
    held.release()
    fetch(first, tmp_path, limit=limit)
    assert (store.ready(first), store.ready(second), store.ready(third)) == (True, False, True)
    assert store.room.used() < limit


def test_what_can_never_fit_is_said_at_once(storage: Storage, tmp_path: Path) -> None:
    bucket = storage.container()
    put(bucket)
    (folder,) = listed(bucket.at())
    with pytest.raises(BlobTooLarge, match=r"INFERENCE_CACHE_MB allows 0\.1 MiB"):
        fetch(folder, tmp_path, limit=PART)


def test_a_disk_that_is_nearly_full_is_left_alone(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = storage.container()
    put(bucket)
    (folder,) = listed(bucket.at())
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1024))
    with pytest.raises(DiskFull):
        fetch(folder, tmp_path)


def test_locks_exclude_but_do_not_outlive(tmp_path: Path) -> None:
    one, two, three = (FileLock(tmp_path / "lock") for _ in range(3))
    assert one.acquire(shared=True)
    assert two.acquire(shared=True)
    assert not three.acquire()
    one.release()
    two.release()
    assert three.acquire()
    three.release()
