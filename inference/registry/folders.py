"""Folders of deployments: each is a card whose backend can honour it, or broken with a reason."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from inference.backends import BACKENDS
from inference.cards.card import CARD_FILE, Card, CardError, Deployment, load
from inference.tool_formats import TOOL_FORMATS

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BrokenDeployment:
    """A folder with a card that cannot be a deployment, and the reason."""

    name: str
    reason: str


Entry: TypeAlias = Deployment | BrokenDeployment


def read_folders(root: Path) -> list[Entry]:
    """Return the deployments of a folder: itself, or its sub-folders except hidden ones."""
    return [_read(folder) for folder in _folders(root)]


def _folders(root: Path) -> Iterator[Path]:
    if (root / CARD_FILE).is_file():
        yield root
    elif root.is_dir():
        # A hidden folder is a deployment that is still being written.
        yield from sorted(card.parent for card in root.glob(f"[!.]*/{CARD_FILE}"))
    else:
        log.error("INFERENCE_MODELS names %s, which is not a folder", root)


def _read(folder: Path) -> Entry:
    try:
        deployment = load(folder)
        check_card(deployment.card)
        for role in deployment.card.files:
            deployment.file(role)
    except CardError as error:
        return BrokenDeployment(folder.name, str(error))
    return deployment


def check_card(card: Card) -> None:
    """Raise `CardError` for a card that its backend cannot honour; no file of the deployment is read."""
    backend = BACKENDS.get(card.backend)
    if backend is None:
        raise CardError(f"{CARD_FILE}: backend: {card.backend!r} is none of {', '.join(BACKENDS)}")
    if card.type not in backend.tasks:
        raise CardError(f"{CARD_FILE}: type: {card.backend} does not run {card.type}")
    for name in {**card.parameters, **card.extras}:
        if name not in backend.honours:
            raise CardError(f"{CARD_FILE}: {name} is declared, {card.backend} cannot honour it")
    if unknown := set(card.inputs) - backend.inputs:
        raise CardError(f"{CARD_FILE}: inputs: {card.backend} cannot read {', '.join(sorted(unknown))}")
    tools = card.parameters.get("tools")
    if tools is not None and card.remote is None and tools.dialect not in TOOL_FORMATS:
        raise CardError(f"{CARD_FILE}: tools: dialect {tools.dialect!r} is none of {', '.join(TOOL_FORMATS)}")
