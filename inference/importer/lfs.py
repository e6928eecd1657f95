"""Git LFS pointers: the three lines that a clone without Git LFS has in place of each large file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from inference.importer.findings import ImporterError, format_size

MARKS = (b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/")
"""The beginning of every pointer; the second is that of the first releases."""
MAX_POINTER = 1024
"""Bytes: the specification's limit of a pointer."""
SIZE = re.compile(rb"^size (\d{1,18})$", re.MULTILINE)
MOST_NAMED = 5


def pointer_size(path: Path) -> int | None:
    """Return the bytes of the file that a pointer stands for, 0 where it does not say; None for other files.

    Raises `OSError`.
    """
    with path.open("rb") as file:
        start = file.read(MAX_POINTER + 1)
    if len(start) > MAX_POINTER or not start.startswith(MARKS):
        return None
    found = SIZE.search(start)
    return int(found[1]) if found else 0


def require_contents(files: Mapping[str, Path], advice: str) -> None:
    """Raise `ImporterError` where files by their name in the source are pointers.

    `advice` is the sentence that says how the contents are fetched; `{names}` in it are the files.
    """
    sizes = {name: size for name, path in files.items() if (size := _size(path)) is not None}
    if not sizes:
        return
    listed = ", ".join(list(sizes)[:MOST_NAMED])
    more = f" and {len(sizes) - MOST_NAMED} more" if len(sizes) > MOST_NAMED else ""
    subject = f"{listed} is a Git LFS pointer" if len(sizes) == 1 else f"{listed}{more} are Git LFS pointers"
    total = sum(sizes.values())
    missing = f" of {format_size(total)}" if total else ""
    raise ImporterError(f"{subject}, not the content{missing} itself. {advice}")


def _size(path: Path) -> int | None:
    try:
        return pointer_size(path)
    except OSError:
        return None
