"""A deployment's folder appears whole or not at all.

Files come together in a hidden folder beside the place they go to, on the same file system, and a rename ends
the work. The registry passes hidden folders by. A lock keeps two processes from making the same deployment.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inference.cards.card import CARD_FILE
from inference.importer.findings import Finding, megabytes
from inference.importer.refusal import ImporterError, install_sentence

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LARGE = 1024 * 1024
"""Bytes from which a file is linked rather than copied; the small ones are those that people edit."""


@contextmanager
def locked(into: Path, name: str) -> Iterator[None]:
    """This process alone may change the deployment `name`. Raises `ImporterError` where another one does."""
    try:
        from filelock import FileLock, Timeout
    except ModuleNotFoundError:
        raise ImporterError(
            f"The package filelock is not installed. {install_sentence('filelock')}"
        ) from None
    lock = FileLock(into / f".{name}.lock", timeout=0)
    try:
        into.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ImporterError(
            f"Another process is working on {name} in {into} right now. Try again later."
        ) from None
    except OSError as error:
        raise ImporterError(_sentence(error, into)) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def staging(into: Path, name: str) -> Iterator[Path]:
    """An empty hidden folder for the files, gone afterwards; what a killed run left is cleared away first.

    A disk that is full becomes an `ImporterError` that says so.
    """
    folder = into / f".{name}.adding"
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        raise ImporterError(_sentence(error, into)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def place(files: Mapping[str, Path], folder: Path, *, copy: bool) -> Finding[None]:
    """Puts files under their names into a folder: large ones as hard links where the file system can."""
    copied = linked = 0
    for name, path in files.items():
        target, source = folder / name, path.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        size = source.stat().st_size
        if not copy and size >= LARGE and _link(source, target):
            linked += size
        else:
            shutil.copyfile(source, target)
            copied += size
    share = f", and {megabytes(linked)} as hard links that share the disk with their source" if linked else ""
    return Finding(None, f"{len(files)} files are placed: {megabytes(copied)} copied{share}.")


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    with (folder / CARD_FILE).open("w", encoding="utf-8") as file:
        json.dump(card, file, indent=2, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def publish(folder: Path, target: Path) -> None:
    """The staged folder becomes the deployment. Raises `ImporterError` where one came between."""
    if target.exists():
        raise ImporterError(_taken(target))
    folder.rename(target)


def require_free(target: Path) -> None:
    """Raises `ImporterError` where something stands in the place already."""
    if target.exists():
        raise ImporterError(_taken(target))


def _taken(target: Path) -> str:
    return (
        f"{target} is there already. Choose another --name, or remove it first: "
        f"python -m inference models remove {target.name}"
    )


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in FULL:
            raise
        return False
    return True


def _sentence(error: OSError, into: Path) -> str:
    if error.errno in FULL:
        try:
            free = f" ({megabytes(shutil.disk_usage(into).free)} are free)"
        except OSError:
            free = ""
        return (
            f"The disk under {into} is full{free}. Nothing was added and nothing is left behind: free some "
            "space and run the same command again."
        )
    return f"{error.filename or into}: {error.strerror}. Nothing was added."
