"""`models add`: the files of a source become a deployment that was opened once, or nothing is added."""

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

from inference.backends.loaded_models import ImageEmbeddingModel, TextEmbeddingModel
from inference.cards.card import CARD_FILE, Card, CardError, Deployment, load
from inference.conformance.client import InProcessClient, RequestRefused, in_process_service
from inference.conformance.probe_texts import ProbeTexts
from inference.contracts import Route
from inference.errors import ApiError
from inference.importer import rewrite
from inference.importer.advice import refused_parts, require_graph
from inference.importer.card import CardOptions, card_of
from inference.importer.deployment_folder import (
    folders_of,
    keep_answers,
    locked,
    place_files,
    publish,
    require_free,
    require_new,
    staging,
    unnamed_answers,
    write_card,
)
from inference.importer.findings import ImporterError, Report, reported
from inference.importer.gguf.intake import graphs_of
from inference.importer.gguf.parts import parts_of
from inference.importer.graph_facts import require_onnx
from inference.importer.in_place import publish_into, require_raw
from inference.importer.intact import naming_intact
from inference.importer.model_folder import read_folder
from inference.importer.plan import FilePlan, PartsOnly, PlanOptions, plan
from inference.importer.sources import FileSource, FolderFiles, FolderSource, HubSource, Source, SourceFiles
from inference.importer.subfolder import within
from inference.importer.variants import Processor
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""Pattern of `card.Card.name`."""


@dataclass(frozen=True, slots=True)
class AddOptions:
    """Options of an import; `into` is the folder that holds the deployment's folder."""

    name: str
    into: Path
    plan_options: PlanOptions = field(default_factory=PlanOptions)
    provider: str | None = None
    pooling: str | None = None
    context: int | None = None
    copy: bool = False
    opens: bool = True
    """True to open the deployment once before it is published."""
    int8: bool = False
    in_float: bool = False
    """True to write a GGUF file's weights in float32, whatever its types: a reference for measurements."""

    @property
    def target(self) -> Path:
        """The deployment's folder."""
        return self.into / self.name


def add(source: Source, options: AddOptions, settings: Settings, report: Report) -> Path:
    """Import a model and return the deployment's folder, which a folder in its place becomes itself.

    Raises `ImporterError`; then nothing was added.
    """
    downloads = downloads_folder(options)
    in_place = isinstance(source, FolderSource) and source.path == options.target.resolve()
    with reserved(options, settings, in_place=in_place):
        files = files_of_source(source, downloads, settings, report)
        with graphs_of(files, options, report) as (graph_files, graph_options):
            target = add_files(graph_files, graph_options, settings, report, in_place=in_place)
        shutil.rmtree(downloads, ignore_errors=True)
    return target


@contextmanager
def reserved(options: AddOptions, settings: Settings, *, in_place: bool = False) -> Iterator[None]:
    """Hold the lock of a new deployment. Raises `ImporterError` where its folder or name is taken."""
    if (options.into / CARD_FILE).is_file():
        raise ImporterError(
            f"{options.into} is a deployment itself. Set --into to a folder that holds deployments."
        )
    if not NAME.fullmatch(options.name):
        raise ImporterError(
            f"{options.name!r} is not a valid name: it has letters, digits, dots, dashes and underscores, "
            "begins with a letter or digit, and is at most 128 characters long. Set another --name."
        )
    require_onnx()
    with locked(options.into, options.name):
        require_raw(options.target) if in_place else require_free(options.target)
        require_new(options.name, folders_of(settings))
        yield


def downloads_folder(options: AddOptions) -> Path:
    """Return the hidden folder for downloads without a cache of their own, kept until a run succeeds."""
    return options.into / f".{options.name}.fetched"


def files_of_source(source: Source, downloads: Path, settings: Settings, report: Report) -> SourceFiles:
    """List the files of a source. Raises `ImporterError` where it cannot be read."""
    match source:
        case FolderSource(path):
            return FolderFiles.of(path)
        case FileSource(path):
            return FolderFiles.of_names(path.parent, parts_of(path.name))
        case HubSource():
            from inference.importer.hub import hub_files

            return within(hub_files(source, report), source.path)
        case container:
            from inference.importer.container import container_files

            return container_files(container, downloads, settings, report)


def add_files(
    files: SourceFiles, options: AddOptions, settings: Settings, report: Report, *, in_place: bool = False
) -> Path:
    """Import listed files as a reserved deployment and return its folder. Raises `ImporterError`."""
    require_graph(files)
    try:
        chosen = plan(files, options.plan_options, Processor.here(), report)
    except PartsOnly as error:
        raise ImporterError(refused_parts(files, str(error))) from None
    fetched = {**chosen.fetched, **files.fetch([path for path in chosen.files if path not in chosen.fetched])}
    with (
        staging(options.into, options.name) as folder,
        naming_intact(files, list(chosen.graphs.values()), fetched),
    ):
        named = {chosen.files[path]: local for path, local in fetched.items()}
        reported(place_files(named, folder, copy=options.copy), report)
        _Staged(folder, files, options, settings).describe(chosen, report)
        before = unnamed_answers(settings, options.into)
        reported((publish_into if in_place else publish)(folder, options.target), report)
        reported(keep_answers(before, settings, options.into), report)
    return options.target


@dataclass(frozen=True, slots=True)
class _Staged:
    """The staged folder of a deployment, with the origin of its files and the options for its card."""

    folder: Path
    files: SourceFiles
    options: AddOptions
    settings: Settings

    def describe(self, chosen: FilePlan, report: Report) -> None:
        """Rewrite the graphs where it helps, write the card, and open the deployment once."""
        graph_files = {role: chosen.files[graph.path] for role, graph in chosen.graphs.items()}
        graph_files = self._edited(graph_files, report)
        card = self._card(graph_files, report)
        deployment = self._write(card)
        if self.options.int8:
            card = self._quantize(deployment, graph_files, report)
        if not self.options.opens:
            report("The deployment was not opened (--no-open): `models check` opens it.")
            return
        opened = open_once(self.folder, self.settings, report)
        if opened.dimensions and not card.get("embedding", {}).get("dimensions"):
            self._write({**card, "embedding": {**card["embedding"], "dimensions": opened.dimensions}})

    def _edited(self, graph_files: dict[str, str], report: Report) -> dict[str, str]:
        """Return the graphs after the edit of a decoder's, which is kept once both were run."""
        folder = read_folder(self.folder, graph_files)
        if self.options.opens:
            return rewrite.select_logits(folder, self.settings, report)
        if folder.graphs[rewrite.MODEL].generates:
            report(
                "The graph stays as it is (--no-open): an edit for faster prompts is checked by running it."
            )
        return graph_files

    def _quantize(
        self, original: Deployment, graph_files: Mapping[str, str], report: Report
    ) -> dict[str, Any]:
        """Replace the graphs by int8 ones, report the loss and return the new card."""
        quantized_files = rewrite.quantize(self.folder, graph_files)
        card = self._card(quantized_files, report=lambda _: None)
        quantized = self._write(card)
        report(f"The weights are written in int8: {', '.join(dict.fromkeys(quantized_files.values()))}.")
        if self.options.opens:
            for sentence in rewrite.losses(original, quantized, self.settings):
                report(sentence)
        rewrite.drop_originals(self.folder, graph_files, quantized_files)
        return card

    def _card(self, graph_files: Mapping[str, str], report: Report) -> dict[str, Any]:
        folder = read_folder(self.folder, graph_files)
        wanted = self.options
        options = CardOptions(wanted.name, wanted.provider, wanted.pooling, wanted.context)
        return card_of(folder, self.files, self.settings, options, report)

    def _write(self, card: Mapping[str, Any]) -> Deployment:
        """Write the card and load it. Raises `ImporterError` for a card that is not valid."""
        write_card(self.folder, card)
        try:
            return load(self.folder)
        except CardError as error:
            raise ImporterError(
                f"The new card is not valid: {error}. This is a defect of the importer, please report it."
            ) from None


NO_CONTENT_SAFETY: Mapping[str, Any] = {
    "content_safety_endpoint": "",
    "content_safety_classifier": "",
    "content_safety_blocklist_files": (),
}
"""Settings without a content filter: the request is the importer's own."""
LOAD_SECONDS = 3600
"""Time for loading, longer than that of a served request: a command may wait for a large model."""


@dataclass(frozen=True, slots=True)
class OpenReport:
    """Seconds that opening took, and the size of a vector where the model has vectors."""

    seconds: float
    dimensions: int | None


def open_once(folder: Path, settings: Settings, report: Report) -> OpenReport:
    """Open a deployment as the server does and send a small request to each of its routes.

    Raises `ImporterError` with the reason where it cannot be opened or refuses a request.
    """
    alone = replace(settings, models=(folder,), defaults=(), **NO_CONTENT_SAFETY)
    service = in_process_service(alone, Registry(alone))
    try:
        if service.registry.broken:
            raise ImporterError(_not_opened(service.registry.broken[0].reason))
        return asyncio.run(_open(service, report))
    finally:
        service.close()


async def _open(service: Service, report: Report) -> OpenReport:
    deployment = service.registry.deployments[0]
    began = time.perf_counter()
    try:
        opened = await service.registry.open(deployment, patience=LOAD_SECONDS)
    except ApiError as error:
        raise ImporterError(_not_opened(_reason(error))) from None
    seconds = time.perf_counter() - began
    embedder = opened.embedder if isinstance(opened, TextEmbeddingModel | ImageEmbeddingModel) else None
    card, greeting = deployment.card, ProbeTexts.of(deployment).greeting
    try:
        for route in sorted(card.routes):
            await InProcessClient(service, card, route).request(**_small_request(card, route, greeting))
    except RequestRefused as refused:
        raise ImporterError(_not_opened(str(refused))) from None
    routes = ", ".join(f"/{route}" for route in sorted(card.routes))
    report(f"The deployment opens in {seconds:.1f} s and answers {routes}.")
    return OpenReport(seconds, embedder.dimensions if embedder else None)


def _small_request(card: Card, route: Route, greeting: str) -> dict[str, Any]:
    """Return a request that fits the smallest context, for an answer of one token."""
    one_token = {"max_tokens": 1} if card.limits("max_tokens") else {}
    requests: Mapping[Route, dict[str, Any]] = {
        Route.CHAT: {"messages": [{"role": "user", "content": greeting}], **one_token},
        Route.COMPLETIONS: {"prompt": greeting, **one_token},
        Route.EMBEDDINGS: {"input": [greeting]},
        Route.RERANK: {"query": greeting, "documents": [greeting]},
        Route.CLASSIFY: {"inputs": [greeting]},
        Route.EMBED_SPARSE: {"inputs": [greeting]},
    }
    return requests.get(route, {})


def _reason(error: ApiError) -> str:
    """Return the loader's message without the deployment's name."""
    cause = error.__cause__ or error.__context__
    return str(cause) if isinstance(cause, CardError) else error.message


def _not_opened(reason: str) -> str:
    return f"The files were found and described, but the model does not open, and nothing was added. {reason}"
