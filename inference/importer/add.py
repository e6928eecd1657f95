"""`models add`: from a source to a deployment in a folder of INFERENCE_MODELS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference.cards.card import CARD_FILE, CardError, Deployment, load
from inference.importer import rewrite
from inference.importer.card import card_of
from inference.importer.cpu import Processor
from inference.importer.deployment_folder import locked, place, publish, require_free, staging, write_card
from inference.importer.findings import Say, tell
from inference.importer.graph_facts import require_onnx
from inference.importer.model_folder import look
from inference.importer.opening import open_once
from inference.importer.plan import FilePlan, PlanOptions, plan
from inference.importer.refusal import ImporterError
from inference.importer.removal import folders_of, require_new
from inference.importer.sources import Source
from inference.importer.stock import SourceFiles
from inference.importer.stocks import cleared, files_of_source
from inference.settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What `card.Card.name` may be."""


@dataclass(frozen=True, slots=True)
class AddOptions:
    """What the user wants beside the source; `into` holds the deployment's folder."""

    name: str
    into: Path
    wishes: PlanOptions = field(default_factory=PlanOptions)
    provider: str | None = None
    pooling: str | None = None
    copy: bool = False
    opens: bool = True
    int8: bool = False


def add(source: Source, order: AddOptions, settings: Settings, say: Say) -> Path:
    """The folder of the new deployment. Raises `ImporterError`; then nothing was added."""
    shelf = order.into / f".{order.name}.fetched"
    with checked_place(order, settings):
        target = add_stock(files_of_source(source, shelf, settings, say), order, settings, say)
        cleared(shelf)
    return target


@contextmanager
def checked_place(order: AddOptions, settings: Settings) -> Iterator[None]:
    """Nobody else makes this deployment meanwhile. Raises `ImporterError` where its place or name is taken."""
    if (order.into / CARD_FILE).is_file():
        raise ImporterError(
            f"{order.into} is a deployment itself. Say --into FOLDER, one that holds deployments."
        )
    if not NAME.fullmatch(order.name):
        raise ImporterError(
            f"{order.name!r} cannot be a name: letters, digits, dots, dashes and underscores."
        )
    require_onnx()
    with locked(order.into, order.name):
        require_free(order.into / order.name)
        require_new(order.name, folders_of(settings))
        yield


def add_stock(stock: SourceFiles, order: AddOptions, settings: Settings, say: Say) -> Path:
    """The same of files that are listed already, in a place that was checked."""
    chosen = plan(stock.listing, order.wishes, Processor.here(), say, source=stock.address)
    fetched = stock.fetch(list(chosen.files))
    with staging(order.into, order.name) as folder:
        named = {chosen.files[path]: here for path, here in fetched.items()}
        tell(place(named, folder, copy=order.copy), say)
        _describe(folder, chosen, stock, order, settings, say)
        publish(folder, order.into / order.name)
    return order.into / order.name


def _describe(
    folder: Path, chosen: FilePlan, stock: SourceFiles, order: AddOptions, settings: Settings, say: Say
) -> None:
    """Writes the card into the staged folder and opens what it describes."""
    files = {role: chosen.files[graph.path] for role, graph in chosen.graphs.items()}
    files = rewrite.gathered(look(folder, files), say)
    card = _card(folder, files, stock, order, settings, say)
    deployment = _write(folder, card)
    if order.int8:
        made = rewrite.in_8_bit(folder, files)
        card = _card(folder, made, stock, order, settings, say=lambda _: None)
        smaller = _write(folder, card)
        say(f"Written anew in 8 bits: {', '.join(dict.fromkeys(made.values()))}.")
        if order.opens:
            for sentence in rewrite.losses(deployment, smaller, settings):
                say(sentence)
        rewrite.drop_originals(folder, files, made)
    if order.opens:
        seen = open_once(folder, settings, say)
        if seen.dimensions and not card.get("embedding", {}).get("dimensions"):
            _write(folder, {**card, "embedding": {**card["embedding"], "dimensions": seen.dimensions}})
    else:
        say("It was not opened (--no-open): `models check` does that.")


def _card(
    folder: Path,
    files: Mapping[str, str],
    stock: SourceFiles,
    order: AddOptions,
    settings: Settings,
    say: Say,
) -> dict[str, Any]:
    found = look(folder, files)
    return card_of(found, stock, settings, say, name=order.name, maker=order.provider, pooling=order.pooling)


def _write(folder: Path, card: Mapping[str, Any]) -> Deployment:
    """Raises `ImporterError` for a card that would not be read again."""
    write_card(folder, card)
    try:
        return load(folder)
    except CardError as error:
        raise ImporterError(f"The card that was made is not valid, which should not be: {error}") from None
