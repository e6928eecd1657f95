"""Deployments in containers, and stores to fetch them into, for the tests of containers."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5
from pathlib import Path
from threading import Event

import numpy as np

from inference.blobs.client import open_container
from inference.blobs.listing import BlobFolder, list_deployments
from inference.blobs.store import Store
from inference.settings import Container
from tests.blobs.storage import KEY, Bucket

PART = 64 * 1024
SIZE = 5 * PART + 123
"""Bytes of the weights: five whole ranges and a shorter one."""


def content(seed: int = 0, size: int = SIZE) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def put(
    bucket: Bucket, name: str = "tiny", *, seed: int = 0, size: int = SIZE, checked: bool = True
) -> bytes:
    """Upload a deployment whose weights are noise, and return the weights."""
    weights = content(seed, size)
    bucket.put(f"{name}/model.json", json.dumps({"name": name}).encode())
    bucket.put(f"{name}/deep/down/notes.txt", b"")
    bucket.put(f"{name}/model.onnx", weights, md5=md5(weights).digest() if checked else None)
    return weights


def listed(container: Container) -> list[BlobFolder]:
    client = open_container(container, key=KEY, backoff=0)
    return list_deployments(client, container)


def fetch(
    folder: BlobFolder, root: Path, *, count: Callable[[int], None] = lambda size: None, limit: int = 0
) -> Store:
    """Fetch a deployment in a single attempt."""
    store = Store(root, limit=limit, part=PART)
    client = open_container(folder.container, key=KEY, backoff=0)
    with ThreadPoolExecutor(4) as pool:
        store.fetch(folder, client, pool, count=count, stop=Event())
    return store
