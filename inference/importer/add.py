"""One function a kind of source: its files as a stock."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inference.auth.authority import Authority
from inference.backends.loaded_models import ImageEmbeddingModel, TextEmbeddingModel
from inference.cards.card import CARD_FILE, Card, CardError, Deployment, load
from inference.conformance.client import InProcessClient, RequestRefused
from inference.contracts import Route
from inference.errors import ApiError
from inference.importer import rewrite
from inference.importer.card import card_of
from inference.importer.deployment_folder import (
    folders_of,
    locked,
    place,
    publish,
    require_free,
    require_new,
    staging,
    write_card,
)
from inference.importer.findings import ImporterError, Say, tell
from inference.importer.graph_facts import require_onnx
from inference.importer.model_folder import look
from inference.importer.plan import FilePlan, PlanOptions, plan
from inference.importer.sources import FolderFiles, FolderSource, HubSource, Source, SourceFiles
from inference.importer.variants import Processor
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings


def files_of_source(source: Source, shelf: Path, settings: Settings, say: Say) -> SourceFiles:
    """Raises `ImporterError`. `shelf` is a hidden folder for sources that keep no cache of their own."""
    match source:
        case FolderSource(path):
            return FolderFiles.of(path)
        case HubSource():
            from inference.importer.hub import hub_files

            return hub_files(source, say)
        case container:
            from inference.importer.container import container_files

            return container_files(container, shelf, settings, say)


def cleared(shelf: Path) -> None:
    """Drops what was kept so that a run could go on where another was cut."""
    shutil.rmtree(shelf, ignore_errors=True)


UNJUDGED: Mapping[str, Any] = {
    "content_safety_endpoint": "",
    "content_safety_classifier": "",
    "content_safety_blocklist_files": (),
}
"""Our own question is asked; nobody need judge it."""
PATIENCE = 3600
"""Seconds: whoever adds a large model waits for it; a served request does not."""


@dataclass(frozen=True, slots=True)
class OpenReport:
    """How long opening took, and the size of a vector where the model gives vectors."""

    seconds: float
    dimensions: int | None


def open_once(folder: Path, settings: Settings, say: Say) -> OpenReport:
    """Raises `ImporterError` with the loader's own sentence where it does not serve."""
    alone = replace(settings, models=(folder,), defaults=(), anonymous=True, **UNJUDGED)
    service = Service(alone, Registry(alone), Authority.from_settings(alone, loopback=True))
    try:
        if service.registry.broken:
            raise ImporterError(_refused(service.registry.broken[0].reason))
        return asyncio.run(_ask(service, say))
    finally:
        service.close()


async def _ask(service: Service, say: Say) -> OpenReport:
    deployment = service.registry.deployments[0]
    began = time.perf_counter()
    try:
        opened = await service.registry.open(deployment, patience=PATIENCE)
    except ApiError as error:
        raise ImporterError(_refused(_reason(error))) from None
    seconds = time.perf_counter() - began
    embedder = opened.embedder if isinstance(opened, TextEmbeddingModel | ImageEmbeddingModel) else None
    card = deployment.card
    try:
        for route in sorted(card.routes):
            await InProcessClient(service, card, route).ask(**_short(card, route))
    except RequestRefused as refused:
        raise ImporterError(_refused(str(refused))) from None
    say(f"It opens in {seconds:.1f} s and answers {', '.join(f'/{route}' for route in sorted(card.routes))}.")
    return OpenReport(seconds, embedder.dimensions if embedder else None)


def _short(card: Card, route: Route) -> dict[str, Any]:
    """A question that the smallest context holds, and one token of an answer."""
    few = {"max_tokens": 1} if card.limits("max_tokens") else {}
    questions: Mapping[Route, dict[str, Any]] = {
        Route.CHAT: {"messages": [{"role": "user", "content": "Hi"}], **few},
        Route.COMPLETIONS: {"prompt": "Hi", **few},
        Route.EMBEDDINGS: {"input": ["Hi"]},
    }
    return questions.get(route, {})


def _reason(error: ApiError) -> str:
    """The loader's sentence without the name of what it loads."""
    cause = error.__cause__ or error.__context__
    return str(cause) if isinstance(cause, CardError) else error.message


def _refused(reason: str) -> str:
    return f"The files were found and described, but the model does not open, and nothing was added. {reason}"


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
    """Hold the lock of this deployment. Raises `ImporterError` where its place or name is taken."""
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
