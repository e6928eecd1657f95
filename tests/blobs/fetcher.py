"""A process that fetches a deployment and may be killed at a named point, for the tests of faults.

python -m tests.blobs.fetcher SERVER CONTAINER ROOT [POINT [LARGEST]]
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from inference.blobs import store as store_module
from inference.blobs.errors import BlobError
from inference.blobs.store import Store
from inference.blobs.transfer import Transfer
from inference.settings import Container
from tests.blobs.fetching import fetch, listed
from tests.blobs.storage import ACCOUNT

POINTS: dict[str, tuple[Any, str]] = {
    "before the stamp": (store_module, "_write"),
    "before the rename": (Transfer, "commit"),
    "before the folder": (Store, "_assemble"),
    "inside the folder": (store_module, "_link"),
    "before the folder's name": (store_module, "_flush"),
}


def main(server: str, name: str, root: str, point: str = "", largest: str = "") -> int:
    if point:
        owner, attribute = POINTS[point]
        setattr(owner, attribute, _die)
    if largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest), int(largest)))
    try:
        (folder,) = listed(Container(f"{server}/{ACCOUNT}", name))
        sys.stdout.write(str(fetch(folder, Path(root)).path(folder)))
    except BlobError as error:
        sys.stdout.write(f"{type(error).__name__}: {error}")
        return 1
    return 0


def _die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
