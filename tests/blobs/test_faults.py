"""Faults while a deployment is fetched: they end with the right bytes or with a reason.

After each fault a further start has to end with the right bytes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from inference.blobs.errors import BlobChanged, BlobCorrupt, BlobError, DiskFull, StorageUnreachable
from inference.blobs.transfer import Journal
from inference.settings import PROJECT
from tests.blobs import fetcher
from tests.blobs.faulty import Fault, Proxy, StorageRequest, proxy
from tests.blobs.fetching import PART, SIZE, content, fetch, listed, put
from tests.blobs.storage import Bucket, Storage

RANGES = 6


@pytest.fixture
def faulty_storage(storage: Storage) -> Iterator[Proxy]:
    with proxy(storage.url) as made:
        yield made


@pytest.fixture
def bucket(storage: Storage) -> Bucket:
    return storage.container()


def start(bucket: Bucket, faulty_storage: Proxy, root: Path, *options: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tests.blobs.fetcher",
        faulty_storage.url,
        bucket.name,
        str(root),
        *options,
    ]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors, errors
    return process.returncode, out


def served(bucket: Bucket, faulty_storage: Proxy, root: Path) -> bytes:
    """Return the weights after a further start."""
    (folder,) = listed(bucket.at(server=faulty_storage.url))
    store = fetch(folder, root)
    assert store.ready(folder)
    assert store.verify(folder)
    return (store.path(folder) / "model.onnx").read_bytes()


def only_complete_folders(root: Path) -> bool:
    """Return True if every folder with a deployment's name has files of the full size."""
    folders = [path for path in root.glob("folders/*") if path.is_dir() and not path.name.startswith(".")]
    return all((folder / "model.onnx").stat().st_size == SIZE for folder in folders)


@pytest.mark.parametrize("reached", [0, 1, 3, RANGES - 1])
def test_a_fetch_killed_inside_a_file_is_resumed(
    bucket: Bucket, faulty_storage: Proxy, tmp_path: Path, reached: int
) -> None:
    weights = put(bucket)
    killed = Event()

    def kill(request: StorageRequest) -> Fault | None:
        if request.range and len(faulty_storage.ranges) == reached + 1 and not killed.is_set():
            process.send_signal(signal.SIGKILL)
            killed.set()
        return None

    faulty_storage.fault = kill
    process = start(bucket, faulty_storage, tmp_path)

    assert ended(process)[0] == -signal.SIGKILL
    assert only_complete_folders(tmp_path)
    faulty_storage.fault = lambda request: None
    assert served(bucket, faulty_storage, tmp_path) == weights


@pytest.mark.parametrize("point", fetcher.POINTS)
def test_a_fetch_killed_between_its_steps_is_resumed(
    bucket: Bucket, faulty_storage: Proxy, tmp_path: Path, point: str
) -> None:
    weights = put(bucket)

    assert ended(start(bucket, faulty_storage, tmp_path, point))[0] == -signal.SIGKILL
    assert only_complete_folders(tmp_path)
    before = len(faulty_storage.ranges)
    assert served(bucket, faulty_storage, tmp_path) == weights
    if "folder" in point:
        assert len(faulty_storage.ranges) == before, "complete files are not fetched again"


def test_a_cut_fetch_is_resumed_at_the_missing_range(
    bucket: Bucket, faulty_storage: Proxy, tmp_path: Path
) -> None:
    weights = put(bucket)
    last = f"bytes={(RANGES - 1) * PART}-"
    faulty_storage.fault = lambda request: Fault(cut=10) if request.range.startswith(last) else None

    with pytest.raises(StorageUnreachable, match=r"model\.onnx"):
        fetch(listed(bucket.at(server=faulty_storage.url))[0], tmp_path)
    faulty_storage.fault, faulty_storage.requests = lambda request: None, []

    assert served(bucket, faulty_storage, tmp_path) == weights
    assert [request for request in faulty_storage.ranges if not request.startswith(last)] == []


def test_a_journal_counts_only_ranges_whose_bytes_it_matches(tmp_path: Path) -> None:
    """A power failure may lose the bytes of a recorded range, or a part of its line."""
    whole = content()
    partial, ranges = tmp_path / "x.partial", tmp_path / "x.ranges"
    partial.write_bytes(whole)
    journal = Journal(ranges, partial, "etag", SIZE, PART)
    for number in range(3):
        journal.add(number, whole[number * PART : (number + 1) * PART])
    with partial.open("r+b") as file:
        file.seek(PART + 7)
        file.write(b"\0\0\0\0")
    ranges.write_text(ranges.read_text()[:-9])

    assert Journal(ranges, partial, "etag", SIZE, PART).missing == [1, 2, 3, 4, 5]
    assert Journal(ranges, partial, "other", SIZE, PART).missing == [0, 1, 2, 3, 4, 5]
    assert Journal(ranges, partial, "etag", SIZE, 2 * PART).missing == [0, 1, 2]
    assert Journal(ranges, tmp_path / "missing", "etag", SIZE, PART).missing == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(cut=PART // 2), StorageUnreachable),
        (Fault(cut=0), StorageUnreachable),
        (Fault(status=503), BlobError),
    ],
)
def test_a_network_fault_is_raised_while_it_lasts_and_retried_when_it_is_short(
    bucket: Bucket, faulty_storage: Proxy, tmp_path: Path, fault: Fault, error: type[BlobError]
) -> None:
    weights = put(bucket)
    (folder,) = listed(bucket.at(server=faulty_storage.url))
    faulty_storage.fault = lambda request: fault if request.range else None
    with pytest.raises(error, match="Reading tiny/"):
        fetch(folder, tmp_path)
    assert only_complete_folders(tmp_path)

    failed: set[str] = set()

    def once(request: StorageRequest) -> Fault | None:
        if ".onnx" not in request.path or request.range in failed:
            return None
        failed.add(request.range)
        return fault

    faulty_storage.fault = once
    assert served(bucket, faulty_storage, tmp_path) == weights
    assert len(failed) >= RANGES - 1, "every range failed once, except those fetched before"


def test_wrong_bytes_are_removed(bucket: Bucket, faulty_storage: Proxy, tmp_path: Path) -> None:
    weights = put(bucket)
    (folder,) = listed(bucket.at(server=faulty_storage.url))
    faulty_storage.fault = lambda request: Fault(spoil=True) if ".onnx" in request.path else None
    with pytest.raises(BlobCorrupt):
        fetch(folder, tmp_path)
    assert only_complete_folders(tmp_path)

    faulty_storage.fault = lambda request: None
    assert served(bucket, faulty_storage, tmp_path) == weights


def test_a_blob_replaced_meanwhile_is_never_mixed(
    bucket: Bucket, faulty_storage: Proxy, tmp_path: Path
) -> None:
    put(bucket, seed=1)
    (folder,) = listed(bucket.at(server=faulty_storage.url))
    new: list[bytes] = []

    def replace(request: StorageRequest) -> Fault | None:
        if len(faulty_storage.ranges) == 3 and not new:
            new.append(put(bucket, seed=2))
        return None

    faulty_storage.fault = replace
    with pytest.raises(BlobChanged, match="replaced while it was read"):
        fetch(folder, tmp_path)
    assert only_complete_folders(tmp_path)

    assert served(bucket, faulty_storage, tmp_path) == new[0]


def test_a_full_disk_is_an_error_and_fetching_resumes_when_it_has_room(
    bucket: Bucket, faulty_storage: Proxy, tmp_path: Path
) -> None:
    """A file size limit of the process makes writes fail like a full disk."""
    weights = put(bucket)

    code, out = ended(start(bucket, faulty_storage, tmp_path, "", str(3 * PART)))

    assert (code, "DiskFull" in out, "the disk is full" in out) == (1, True, True)
    assert only_complete_folders(tmp_path)
    assert served(bucket, faulty_storage, tmp_path) == weights


def test_a_disk_full_between_the_steps_is_an_error(
    bucket: Bucket, faulty_storage: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = put(bucket)
    (folder,) = listed(bucket.at(server=faulty_storage.url))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(DiskFull, match="No space left on device"):
            fetch(folder, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        patch.setattr("shutil.copy2", full)
        with pytest.raises(DiskFull, match="No space left on device"):
            fetch(folder, tmp_path)
    assert only_complete_folders(tmp_path)
    assert served(bucket, faulty_storage, tmp_path) == weights


def test_two_processes_share_one_fetch(bucket: Bucket, faulty_storage: Proxy, tmp_path: Path) -> None:
    weights = put(bucket)
    faulty_storage.gate.clear()
    both = [start(bucket, faulty_storage, tmp_path) for _ in range(2)]
    faulty_storage.gate.set()

    ends = [ended(process) for process in both]

    assert [code for code, _ in ends] == [0, 0]
    assert len({out for _, out in ends}) == 1
    assert len(faulty_storage.ranges) == RANGES
    assert served(bucket, faulty_storage, tmp_path) == weights


def test_a_process_finishes_the_fetch_of_a_killed_one(
    bucket: Bucket, faulty_storage: Proxy, tmp_path: Path
) -> None:
    weights = put(bucket)
    dying = start(bucket, faulty_storage, tmp_path, "before the rename")
    other = start(bucket, faulty_storage, tmp_path)

    assert ended(dying)[0] in (-signal.SIGKILL, 0)
    assert ended(other)[0] == 0
    assert served(bucket, faulty_storage, tmp_path) == weights
