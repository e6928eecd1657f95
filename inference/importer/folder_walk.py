"""The files below a folder: hidden ones left out, links followed, and loops of links walked once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_FILES = 100_000
"""Files of one source: a folder with more of them is a disk, not a model."""
CACHED_REPOSITORY = re.compile(r"models--(?P<owner>[\w.-]+?)--(?P<repository>[\w.-]+)", re.ASCII)
"""The name of a repository's folder in the cache of huggingface_hub."""


class TooManyFiles(Exception):
    """A folder has more than `MAX_FILES` files."""


def files_below(root: Path) -> Iterator[tuple[str, int]]:
    """Yield path, with slashes, and size of each file below a folder, whose name is text and not hidden.

    A folder that links lead to is walked once, and after the folders that are really there. Raises `OSError`
    for a folder that cannot be read, and `TooManyFiles`.
    """
    walked: set[tuple[int, int]] = set()
    count = 0
    folders, linked = [""], list[str]()
    while folders or linked:
        folder = folders.pop() if folders else linked.pop(0)
        status = (root / folder).stat()
        if (status.st_dev, status.st_ino) in walked:
            continue
        walked.add((status.st_dev, status.st_ino))
        for entry in sorted(os.scandir(root / folder), key=lambda one: one.name):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith(".") or not _is_text(entry.name):
                continue
            if _is(entry.is_dir):
                (linked if entry.is_symlink() else folders).append(path)
            elif _is(entry.is_file):
                count += 1
                if count > MAX_FILES:
                    raise TooManyFiles
                yield path, entry.stat().st_size


def _is(question: object) -> bool:
    """Return the answer of a directory entry, False for a link into nothing, or into a loop of links."""
    try:
        return bool(question()) if callable(question) else False
    except OSError:
        return False


def _is_text(name: str) -> bool:
    """Return True for a name in UTF-8: no other can be written into a card, or printed."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class CachedRepository:
    """A folder in the cache of huggingface_hub: the repository, and the commit where one is named."""

    owner: str
    repository: str
    commit: str

    @property
    def origin(self) -> str:
        """The origin of the files, as those of a download are named."""
        return f"hf:{self.owner}/{self.repository}" + (f"@{self.commit[:12]}" if self.commit else "")


def cached_repository(path: Path) -> CachedRepository | None:
    """Return what a folder is in the cache of huggingface_hub: a snapshot, or a folder below one."""
    for folder in (path, *path.parents):
        if found := CACHED_REPOSITORY.fullmatch(folder.name):
            below = path.relative_to(folder).parts
            commit = below[1] if len(below) > 1 and below[0] == "snapshots" else ""
            return CachedRepository(found["owner"], found["repository"], commit)
    return None


def snapshot_of(path: Path) -> Path:
    """Return the newest snapshot of a repository's folder in that cache, and any other folder itself."""
    if not CACHED_REPOSITORY.fullmatch(path.name):
        return path
    snapshots = [folder for folder in path.glob("snapshots/*") if folder.is_dir()]
    return max(snapshots, key=lambda folder: folder.stat().st_mtime, default=path)
