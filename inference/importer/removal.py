"""A deployment goes as it came: out of sight in one step, then from the disk."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from inference.cards.card import CARD_FILE, CardError, load
from inference.importer.deployment_folder import locked
from inference.importer.refusal import ImporterError
from inference.settings import Settings


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
