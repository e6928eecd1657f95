"""The file of a store: private to this user, on a disk with room."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


class UnsafeFile(OSError):
    """A file or a folder that another user controls."""


def make_private(path: Path) -> None:
    """Create a file that only this user can read, with the folders before it, or make one private.

    SQLite gives its own files beside it the same permissions. Raises `OSError`: `UnsafeFile` for a file or a
    folder of another user, who could read what is written, as in a shared folder for temporary files.
    """
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    _require_own(path.parent.stat(), "the folder of the file")
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, PRIVATE_FILE)
    try:
        _require_own(os.fstat(descriptor), "the file")
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, PRIVATE_FILE)
    finally:
        os.close(descriptor)


def has_room(path: Path, size: int) -> bool:
    """Return True if the disk of a file has room for as many bytes."""
    return shutil.disk_usage(path.parent).free >= size


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return the device and the number of a file, which tell it from a later one of its name, or None."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def is_usable(path: Path) -> bool:
    """Return True if a file could be made private, or made in the nearest folder that is there."""
    found = next(one for one in (path, *path.parents) if one.exists())
    return os.access(found, os.W_OK) and _is_own(found.stat())


def _require_own(found: os.stat_result, what: str) -> None:
    """Raise `UnsafeFile` for what is not this user's."""
    if not _is_own(found):
        raise UnsafeFile(f"{what} belongs to another user")


def _is_own(found: os.stat_result) -> bool:
    """Return True if a file or folder belongs to this user or to root."""
    return not hasattr(os, "geteuid") or found.st_uid in (0, os.geteuid())
