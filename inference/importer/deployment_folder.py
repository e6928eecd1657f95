"""Folders of deployments: staged hidden, published whole by a rename, found by name and removed.

Files are collected in a hidden folder next to their target, on the same file system, and the registry ignores
hidden folders. A lock keeps two processes from making the same deployment.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from inference.api.routes import ROUTES
from inference.cards.card import CARD_FILE, CardError, load
from inference.contracts import Route
from inference.errors import DeploymentBroken
from inference.importer.findings import Finding, ImporterError, format_size, install_hint
from inference.registry.names import write_defaults
from inference.registry.registry import Registry
from inference.settings import Settings

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LARGE = 1024 * 1024
"""Bytes from which a file is linked rather than copied; smaller ones are files that users edit."""


@contextmanager
def locked(into: Path, name: str) -> Iterator[None]:
    """Hold the lock of the deployment `name`. Raises `ImporterError` where another process holds it."""
    try:
        from filelock import FileLock, Timeout
    except ModuleNotFoundError:
        raise ImporterError(f"The package filelock is not installed. {install_hint('filelock')}") from None
    lock = FileLock(into / f".{name}.lock", timeout=0)
    try:
        into.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ImporterError(
            f"Another process is working on {name} in {into}. Try again when it has finished."
        ) from None
    except OSError as error:
        raise ImporterError(_disk_problem(error, into)) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def staging(into: Path, name: str) -> Iterator[Path]:
    """Yield an empty hidden folder, and remove it afterwards; leftovers of a killed run are removed first.

    An `OSError` of the block, such as a full disk, becomes an `ImporterError`.
    """
    folder = into / f".{name}.adding"
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        raise ImporterError(_disk_problem(error, into)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def place_files(files: Mapping[str, Path], folder: Path, *, copy: bool) -> Finding[None]:
    """Put files into a folder by their names there: large ones as hard links where possible, else copies."""
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
    links = f", {format_size(linked)} as hard links that share the source's disk space" if linked else ""
    return Finding(None, f"{len(files)} files are in place: {format_size(copied)} copied{links}.")


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write model.json to the disk."""
    with (folder / CARD_FILE).open("w", encoding="utf-8") as file:
        json.dump(card, file, indent=2, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def publish(folder: Path, target: Path) -> Finding[None]:
    """Rename the staged folder to the deployment's. Raises `ImporterError` where that exists by now."""
    require_free(target)
    folder.rename(target)
    return Finding(None, "")


def require_free(target: Path) -> None:
    """Raise `ImporterError` where the deployment's folder exists."""
    if (target / CARD_FILE).exists():
        raise ImporterError(
            f"{target} exists. Choose another --name, or remove it first: "
            f"python -m inference models remove {target.name}"
        )
    if target.exists():
        raise ImporterError(f"{target} exists and is no deployment. Choose another --name.")


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        return False
    return True


def _disk_problem(error: OSError, into: Path) -> str:
    if error.errno not in DISK_FULL:
        return f"{error.filename or into}: {error.strerror}. Nothing was added."
    try:
        free = f" ({format_size(shutil.disk_usage(into).free)} are free)"
    except OSError:
        free = ""
    return (
        f"The disk under {into} is full{free}. Nothing was added and nothing is left behind: free some space "
        "and run the same command again."
    )


def folders_of(settings: Settings) -> list[Path]:
    """Return the folders among the locations of deployments; containers are read-only to this machine."""
    return [location for location in settings.models if isinstance(location, Path)]


def find(name: str, roots: Sequence[Path]) -> Path:
    """Return the folder of a deployment, valid or broken. Raises `ImporterError` where there is none."""
    found = _find(name, roots)
    if found is not None:
        return found
    locations = ", ".join(str(root) for root in roots)
    raise ImporterError(f"There is no deployment {name} in {locations}. `models list` lists all deployments.")


def remove(folder: Path) -> None:
    """Delete a deployment's folder.

    Raises `ImporterError` where another process works on it, or the files cannot be deleted.
    """
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
    """Raise `ImporterError` where a deployment of that name is served."""
    found = _find(name, roots)
    if found is not None:
        raise ImporterError(
            f"The deployment in {found} has the name {name}. Choose another --name, or remove it first: "
            f"python -m inference models remove {name}"
        )


def _find(name: str, roots: Sequence[Path]) -> Path | None:
    """Return the first folder of that name, in any case of letters, as requests may write it."""
    for root in roots:
        for card in sorted([*root.glob(f"[!.]*/{CARD_FILE}"), *root.glob(CARD_FILE)]):
            if name.lower() in (card.parent.name.lower(), _name(card.parent).lower()):
                return card.parent
    return None


def _name(folder: Path) -> str:
    """Return the name in a deployment's card, that of its folder where the card is broken."""
    try:
        return load(folder).name
    except CardError:
        return folder.name


def unnamed_answers(settings: Settings, into: Path) -> Mapping[Route, str]:
    """Return the deployment that answers each route's requests without a model name.

    The deployments of `into` count, whether or not INFERENCE_MODELS names it; routes without an answer are
    left out.
    """
    folders = [location.resolve() for location in settings.models if isinstance(location, Path)]
    models = settings.models if into.resolve() in folders else (*settings.models, into)
    registry = Registry.after_listing(replace(settings, models=models))
    answers = {}
    try:
        for route in (route for route, row in ROUTES.items() if row.tasks):
            with suppress(DeploymentBroken):
                if (default := registry.default(route)) is not None:
                    answers[route] = default.name
    finally:
        registry.close()
    return answers


def keep_answers(before: Mapping[Route, str], settings: Settings, into: Path) -> Finding[None]:
    """Write down the defaults that a new deployment would change. Raises `OSError`."""
    after = unnamed_answers(settings, into)
    changed = {route: name for route, name in before.items() if after.get(route) != name}
    if not changed:
        return Finding(None, "")
    path = write_defaults(into, changed)
    kept = ", ".join(f"{name} on /{route}" for route, name in changed.items())
    return Finding(
        None,
        f"Requests without a model name are answered as before, by {kept}: {path} says so now. "
        "`python -m inference models default NAME` chooses another one.",
    )
