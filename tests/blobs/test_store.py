"""Stores: fetching deployments, checking the files on the disk, and evicting them."""

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
from tests.blobs.faulty import Fault, StorageRequest, proxy
from tests.blobs.fetching import PART, SIZE, fetch, listed, put
from tests.blobs.storage import KEY, Storage


def test_a_fetched_deployment_has_the_containers_files(storage: Storage, tmp_path: Path) -> None:
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
def test_a_prefix_has_deployments_or_is_one(storage: Storage, prefix: str) -> None:
    bucket = storage.container()
    for name in ("tiny", "other"):
        bucket.put(f"team/{name}/model.json", b"{}")
    bucket.put("tiny/model.json", b"{}")
    bucket.put("loose.txt", b"no deployment")
    found = {"": ["tiny"], "team": ["team/other", "team/tiny"], "team/tiny": ["team/tiny"]}

    assert [folder.path for folder in listed(bucket.at(prefix))] == found[prefix]


def test_a_signature_opens_a_container_like_a_key(storage: Storage, tmp_path: Path) -> None:
    bucket = storage.container()
    weights = put(bucket)
    container = bucket.at("tiny", sas=bucket.sas())
    reported: list[tuple[int, int]] = []

    prefix = PrefixFetch.listed(container, backoff=0)
    paths = prefix.fetch(tmp_path, report=lambda done, total: reported.append((done, total)))

    assert (tmp_path / "model.onnx").read_bytes() == weights
    assert {path.name for path in paths} == {"model.json", "model.onnx", "notes.txt"}
    assert reported[-1][0] == reported[-1][1]
    (card,) = prefix.fetch(tmp_path / "some", ["model.json"])
    assert list((tmp_path / "some").rglob("*")) == [card]


def test_names_that_lead_out_of_the_folder_are_not_listed(storage: Storage) -> None:
    bucket = storage.container()
    for name in ("a/model.onnx", "a//etc/passwd", "a/b//c"):
        bucket.put(name, b"x")
    assert [blob.path for blob in PrefixFetch.listed(bucket.at("a"), key=KEY, backoff=0).blobs] == [
        "model.onnx"
    ]


def test_a_refusal_of_the_storage_is_explained_without_secrets(storage: Storage) -> None:
    bucket = storage.container()
    with pytest.raises(BlobDenied, match="the storage answered 403") as refused:
        PrefixFetch.listed(bucket.at(sas=bucket.sas() + "AAAA"), backoff=0)
    assert "sig" not in str(refused.value)
    with pytest.raises(BlobGone, match="ContainerNotFound"):
        PrefixFetch.listed(bucket.at().__class__(bucket.at().account, "nowhere"), key=KEY, backoff=0)
    with pytest.raises(BlobGone, match="holds no files"):
        PrefixFetch.listed(bucket.at("nothing"), key=KEY, backoff=0)
    with pytest.raises(StorageUnreachable, match="cannot be reached") as unreachable:
        PrefixFetch.listed(bucket.at(server="http://127.0.0.1:9", sas="sv=1&sig=s3cret"), backoff=0)
    assert "s3cret" not in str(unreachable.value)


def test_a_changed_card_alone_is_fetched_again(storage: Storage, tmp_path: Path) -> None:
    bucket = storage.container()
    put(bucket)
    (old,) = listed(bucket.at())
    fetch(old, tmp_path)
    bucket.put("tiny/model.json", b'{"name": "tiny", "changed": true}')

    with proxy(storage.url) as faulty_storage:
        (new,) = listed(bucket.at(server=faulty_storage.url))
        (same,) = listed(bucket.at())
        store = fetch(same, tmp_path)

    assert new.version != old.version, "another account"
    assert same.version != old.version
    assert not faulty_storage.ranges
    assert b"changed" in (store.path(same) / "model.json").read_bytes()


def test_bytes_with_another_md5_are_removed(storage: Storage, tmp_path: Path) -> None:
    bucket = storage.container()
    weights = put(bucket)

    def spoil(request: StorageRequest) -> Fault | None:
        return (
            Fault(spoil=True) if "model.onnx" in request.path and f"bytes={PART}-" in request.range else None
        )

    with proxy(storage.url) as faulty_storage:
        (folder,) = listed(bucket.at(server=faulty_storage.url))
        faulty_storage.fault = spoil
        with pytest.raises(BlobCorrupt, match=r"model\.onnx: the bytes received are not those"):
            fetch(folder, tmp_path)
        assert not list(tmp_path.rglob("*.partial"))
        faulty_storage.fault = lambda request: None
        store = fetch(folder, tmp_path)
    assert (store.path(folder) / "model.onnx").read_bytes() == weights


def test_a_touched_file_is_read_and_a_changed_one_fetched_again(storage: Storage, tmp_path: Path) -> None:
    bucket = storage.container()
    weights = put(bucket)
    (folder,) = listed(bucket.at())
    store = fetch(folder, tmp_path)
    path = store.path(folder) / "model.onnx"

    os.utime(path, ns=(1, 1))
    assert store.ready(folder), "only its date has changed"
    path.write_bytes(b"x" + weights[1:])
    assert not store.ready(folder)
    assert not path.exists()

    fetch(folder, tmp_path)
    assert path.read_bytes() == weights


def test_verify_finds_changes_that_dates_do_not_show(storage: Storage, tmp_path: Path) -> None:
    bucket = storage.container()
    put(bucket)
    (folder,) = listed(bucket.at())
    store = fetch(folder, tmp_path)
    path = store.path(folder) / "model.onnx"
    stat = path.stat()
    with path.open("r+b") as file:
        file.write(b"rot")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert store.ready(folder), "a file with the same date is not read at every start"
    assert not store.verify(folder)
    assert not store.path(folder).exists()


def test_the_least_recently_used_is_evicted_and_a_pinned_one_is_not(storage: Storage, tmp_path: Path) -> None:
    bucket = storage.container()
    for number, name in enumerate(("first", "second", "third")):
        put(bucket, name, seed=number)
    first, second, third = listed(bucket.at())
    limit = 3 * SIZE
    store = fetch(first, tmp_path, limit=limit)
    fetch(second, tmp_path, limit=limit)
    for age, folder in ((1, second), (2, first)):
        os.utime(store.path(folder).with_name(folder.version + ".lock"), (age, age))
    pin = store.pin(second)
    assert pin is not None
    os.utime(store.path(second).with_name(second.version + ".lock"), (1, 1))

    fetch(third, tmp_path, limit=limit)

    assert (store.ready(first), store.ready(second), store.ready(third)) == (False, True, True)
    other_pin = store.pin(third)
    assert other_pin is not None
    with pytest.raises(DiskFull, match="the disk lacks"):
        fetch(first, tmp_path, limit=limit)
    pin.release()
    fetch(first, tmp_path, limit=limit)
    assert (store.ready(first), store.ready(second), store.ready(third)) == (True, False, True)
    assert store.budget.used() < limit


def test_a_deployment_over_the_budget_is_refused_at_once(storage: Storage, tmp_path: Path) -> None:
    bucket = storage.container()
    put(bucket)
    (folder,) = listed(bucket.at())
    with pytest.raises(BlobTooLarge, match=r"INFERENCE_CACHE_MB allows 0\.1 MiB"):
        fetch(folder, tmp_path, limit=PART)


def test_a_nearly_full_disk_keeps_its_reserve(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = storage.container()
    put(bucket)
    (folder,) = listed(bucket.at())
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1024))
    with pytest.raises(DiskFull):
        fetch(folder, tmp_path)


def test_shared_locks_exclude_exclusive_ones_until_released(tmp_path: Path) -> None:
    one, two, three = (FileLock(tmp_path / "lock") for _ in range(3))
    assert one.acquire(shared=True)
    assert two.acquire(shared=True)
    assert not three.acquire()
    one.release()
    two.release()
    assert three.acquire()
    three.release()
