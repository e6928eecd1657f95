"""A file from Azurite, Microsoft's blob server, into the store: beside the same ranges written to a file.

Azurite runs on this machine and takes its share of the processors, from both alike.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import md5
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import httpx

from benchmarks.measure import Spread, by_turns
from benchmarks.table import Goal, Line, Report
from inference.blobs.client import RANGE_BYTES, open_container
from inference.blobs.listing import BlobFolder, list_deployments
from inference.blobs.store import Store
from inference.blobs.transfer import THREADS
from tests.blobs.storage import ACCOUNT, KEY, Bucket, azurite

ROUNDS = 9
SIZE = 256 * 2**20
PLAIN = (
    "The plain download is httpx with a signature in the address, and brings its file to the disk as the "
    "store does."
)


def run() -> Report:
    with TemporaryDirectory() as temporary:
        root = Path(temporary)
        with azurite(root / "azurite.log") as storage:
            bucket = storage.container()
            content = os.urandom(SIZE)
            for name, known in (("model", None), ("checked", md5(content).digest())):
                bucket.put(f"{name}/model.json", b"{}")
                bucket.put(f"{name}/model.onnx", content, md5=known)
            checked, model = list_deployments(open_container(bucket.at(), key=KEY), bucket.at())
            subjects: dict[str, Callable[[], float]] = {
                "plain": partial(_plain, bucket, root / "plain"),
                "store": partial(_store, bucket, model, root / "store"),
                "checked": partial(_store, bucket, checked, root / "checked"),
            }
            rates = by_turns(subjects, rounds=ROUNDS)
    plain = rates["plain"]
    goal = Goal(0.8, least=True)
    return Report(
        [
            Line("plain download", Spread.of(plain), " MB/s", 1e-6),
            _line("into the store", rates["store"], plain, goal),
            _line("into the store, its Content-MD5 checked", rates["checked"], plain, None),
        ],
        [
            f"{SIZE >> 20} MiB in ranges of {RANGE_BYTES >> 20} MiB by {THREADS} threads. {PLAIN}",
        ],
    )


def _line(what: str, rates: list[float], plain: list[float], goal: Goal | None) -> Line:
    return Line(what, Spread.of(rates), " MB/s", 1e-6, Spread.ratio(rates, to=plain), goal)


def _plain(bucket: Bucket, target: Path) -> float:
    """Return bytes a second."""
    url = f"{bucket.url}/{ACCOUNT}/{bucket.name}/model/model.onnx?{bucket.sas()}"
    start = time.perf_counter()
    with httpx.Client(trust_env=False, timeout=60) as client, target.open("w+b") as file:

        def part(offset: int) -> None:
            asked = {"Range": f"bytes={offset}-{offset + RANGE_BYTES - 1}"}
            os.pwrite(file.fileno(), client.get(url, headers=asked).content, offset)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(part, range(0, SIZE, RANGE_BYTES)))
        os.fsync(file.fileno())
    seconds = time.perf_counter() - start
    assert target.stat().st_size == SIZE
    target.unlink()
    return SIZE / seconds


def _store(bucket: Bucket, folder: BlobFolder, root: Path) -> float:
    """Return bytes a second."""
    client = open_container(bucket.at(), key=KEY)
    store = Store(root, limit=0)
    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        store.fetch(folder, client, pool, count=lambda _: None, stop=Event())
    seconds = time.perf_counter() - start
    assert store.ready(folder)
    shutil.rmtree(root)
    return SIZE / seconds
