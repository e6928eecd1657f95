"""A deployment's folder appears whole or not at all.

Files come together in a hidden folder beside the place they go to, on the same file system, and a rename ends
the work. The registry passes hidden folders by. A lock keeps two processes from making the same deployment.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inference.cards.card import CARD_FILE, CardError, load
from inference.importer.findings import Finding, ImporterError, install_sentence, megabytes
from inference.settings import Settings

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


def folders_of(settings: Settings) -> list[Path]:
    """The folders among the places of deployments; containers are not this machine's to change."""
    return [place for place in settings.models if isinstance(place, Path)]


def find(name: str, roots: Sequence[Path]) -> Path:
    """The folder of a deployment, a broken one too. Raises `ImporterError` where there is none."""
    found = _found(name, roots)
    if found is not None:
        return found
    places = ", ".join(str(root) for root in roots)
    raise ImporterError(f"There is no deployment {name} in {places}. `models list` names all there are.")


def remove(folder: Path) -> None:
    """Raises `ImporterError` when another process works on it or the disk refuses."""
    with locked(folder.parent, folder.name):
        hidden = folder.parent / f".{folder.name}.removed"
        try:
            shutil.rmtree(hidden, ignore_errors=True)
            folder.rename(hidden)
            if hidden.is_symlink():
                hidden.unlink()
            else:
                shutil.rmtree(hidden)
        except OSError as error:
            raise ImporterError(f"{error.filename or folder}: {error.strerror}.") from None


def require_new(name: str, roots: Sequence[Path]) -> None:
    """Raises `ImporterError` where a deployment of that name is served already."""
    found = _found(name, roots)
    if found is not None:
        raise ImporterError(
            f"{found} is called {name} already. Choose another --name, or remove that one first."
        )


def _found(name: str, roots: Sequence[Path]) -> Path | None:
    """Requests name deployments in any case of letters, and so does this."""
    for root in roots:
        for card in sorted([*root.glob(f"[!.]*/{CARD_FILE}"), *root.glob(CARD_FILE)]):
            if name.lower() in (card.parent.name.lower(), _name(card.parent).lower()):
                return card.parent
    return None


def _name(folder: Path) -> str:
    try:
        return load(folder).name
    except CardError:
        return ""
