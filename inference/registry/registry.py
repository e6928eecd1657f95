"""The registry of deployments: chosen by name or route, fetched and opened when needed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from inference.backends import BACKENDS
from inference.backends.loaded_models import (
    ChatModel,
    ImageEmbeddingModel,
    LoadedModel,
    RemoteDeployment,
    TextEmbeddingModel,
)
from inference.blobs.disk import clear_unfinished
from inference.cards.card import CARD_FILE, Card, CardError, Deployment
from inference.contracts import Route, Task
from inference.prompt.chat_template import ChatTemplate
from inference.registry.catalog import Catalog
from inference.registry.container_deployments import LISTED, ContainerDeployments
from inference.registry.folders import BrokenDeployment, Entry, read_folders
from inference.registry.memory_estimate import estimate_bytes, release_freed_memory, resident
from inference.registry.model_pool import Lease, ModelPool
from inference.registry.names import read_defaults
from inference.registry.startup_phases import FETCH, IMPORT, OPEN, StartupPhases
from inference.settings import Container, InvalidSetting, Settings
from inference.settings.machine import MIB

log = logging.getLogger(__name__)

DEFAULT_PROVIDERS = ("CPUExecutionProvider",)
"""The providers that every onnxruntime has: for them it need not be imported at the start."""


class Registry:
    """The deployments of all configured locations.

    Folders are read when the registry is made. Containers are listed and fetched in threads of their own, for
    which nothing here waits unless its name says so.
    """

    def __init__(self, settings: Settings) -> None:
        self.startup_phases = StartupPhases()
        self._settings = settings
        self._containers = ContainerDeployments(settings, self._on_listed)
        self._has_containers = self._containers.configured
        self._catalog = Catalog(
            len(settings.models),
            settings.defaults,
            lambda: self._containers.listing_problem,
            settings.aliases,
        )
        self._pool = ModelPool(
            settings.memory_mb * MIB,
            open_model=self._open_model,
            on_closed=self._containers.unpin,
            estimate=lambda deployment: estimate_bytes(deployment, settings),
            resident=resident,
            trim=release_freed_memory,
        )
        for index, location in enumerate(settings.models):
            if isinstance(location, Path):
                self._catalog.put(index, read_folders(location), read_defaults(location))
        if not self._has_containers and (problem := self._catalog.unknown_default()):
            raise InvalidSetting(f"INFERENCE_DEFAULT_DEPLOYMENTS: {problem}")
        if settings.providers != DEFAULT_PROVIDERS:
            _check_providers(settings)
        clear_unfinished(settings.cache_folder / "prepared")
        self._containers.start()

    @classmethod
    def after_listing(cls, settings: Settings, seconds: float = 30) -> Registry:
        """Build a registry that has listed its containers, and fetches only on request: for commands."""
        registry = cls(replace(settings, fetch="request"))
        registry._containers.wait_until_listed(seconds)
        return registry

    @property
    def listing_problems(self) -> Sequence[str]:
        """The reasons why containers are not listed yet, one for each such container."""
        return [state for state in self._containers.states if state != LISTED]

    @property
    def deployments(self) -> Sequence[Deployment]:
        """The valid deployments, sorted by name."""
        return self._catalog.deployments

    @property
    def broken(self) -> Sequence[BrokenDeployment]:
        """The broken deployments, sorted by name."""
        return self._catalog.broken

    def get(self, name: str) -> Deployment:
        """Return the deployment of a name; see `Catalog.get`."""
        return self._catalog.get(name)

    def choose(self, route: Route, *, fixed: str | None, model: str | None) -> Deployment:
        """Return the deployment that serves a request; see `Catalog.choose`."""
        return self._catalog.choose(route, fixed=fixed, model=model)

    def default(self, route: Route) -> Deployment | None:
        """Return the deployment for a route's requests without a model name; see `Catalog.default`."""
        return self._catalog.default(route)

    def find(self, name: str) -> tuple[Deployment, str]:
        """Return a deployment and its name in `/models`, by that name or an alias; see `Catalog.find`."""
        return self._catalog.find(name)

    def aliases(self, deployment: Deployment) -> tuple[str, ...]:
        """Return the aliases of a deployment."""
        return self._catalog.aliases(deployment)

    async def open(self, deployment: Deployment, *, patience: float) -> LoadedModel:
        """Return the running model without a lease, for short uses; it may be evicted at any time."""
        return (await self.lease(deployment, patience=patience)).model

    async def lease(self, deployment: Deployment, *, patience: float) -> Lease:
        """Return a lease of the running model, which stays open until the lease is released.

        Raises `ModelNotReady` at once while it is being fetched, and the errors of `ModelPool.lease`.
        """
        if self._has_containers:
            self._containers.require(deployment)
        return await self._pool.lease(deployment, patience=patience)

    def state(self, deployment: Deployment) -> str:
        """Return `fetching`, `closed`, `loading`, `open` or `broken`."""
        progress = self._containers.progress(deployment)
        if progress is not None:
            return "broken" if progress.failed else "fetching"
        return self._pool.state(deployment)

    def states(self) -> dict[str, str]:
        """Return the state of every deployment by name, as `state` has it; `broken` for refused folders."""
        sound = {deployment.name: self.state(deployment) for deployment in self.deployments}
        return {**sound, **{broken.name: "broken" for broken in self.broken}}

    def health(self) -> dict[str, Any]:
        """Return the parts of `/health` besides states: fetches, containers, memory and start-up phases."""
        pending = ((d.name, self._containers.progress(d)) for d in self.deployments)
        return {
            "fetching": {name: progress.body() for name, progress in pending if progress is not None},
            "containers": self._containers.states,
            "memory": {"used_mb": self._pool.used // MIB, "budget_mb": self._settings.memory_mb},
            "start": self.startup_phases.body(),
        }

    def wait_until_fetched(self, deployment: Deployment, seconds: float) -> None:
        """Wait until a deployment is on this machine, for at most `seconds`: for commands."""
        self._containers.wait_until_fetched(deployment, seconds)

    async def aclose(self) -> None:
        """Close everything, connections of the running event loop included."""
        for opened in self._pool.opened:
            await opened.aclose()
        self.close()

    def close(self) -> None:
        """Stop fetching, and close every open model after the one that is still loading."""
        self._containers.close()
        self._pool.close()

    def _on_listed(self, container: Container, entries: Sequence[Entry]) -> None:
        self._catalog.put(self._settings.models.index(container), entries)
        if not self._containers.listing_problem and (problem := self._catalog.unknown_default()):
            log.error("INFERENCE_DEFAULT_DEPLOYMENTS: %s", problem)

    def _open_model(self, deployment: Deployment) -> LoadedModel:
        """Open a model, in the loader's thread. Raises `CardError` if the files are at fault."""
        self._containers.pin(deployment)
        if seconds := self._containers.fetch_seconds(deployment):
            self.startup_phases.record(deployment.name, FETCH, seconds)
        try:
            with self.startup_phases.phase(deployment.name, IMPORT):
                BACKENDS[deployment.card.backend].load()
            with self.startup_phases.phase(deployment.name, OPEN):
                return _open(deployment, self._settings)
        except BaseException as error:
            self._containers.unpin(deployment)
            if isinstance(error, CardError):
                self._containers.verify(deployment)
            raise


def _open(deployment: Deployment, settings: Settings) -> LoadedModel:
    opened = BACKENDS[deployment.card.backend].open(deployment, settings)
    try:
        _check_declarations(deployment.card, opened)
    except CardError:
        opened.close()
        raise
    return opened


def _check_declarations(card: Card, opened: LoadedModel) -> None:
    """Raise `CardError` for a declaration of the card that the open model cannot honour."""
    if isinstance(opened, RemoteDeployment):
        return
    template = opened.chat_template if isinstance(opened, ChatModel) else None
    if card.type is Task.CHAT and template is None:
        raise CardError("files.chat_template is missing: a chat deployment needs one")
    if "tools" in card.parameters and not (template and template.supports_tools):
        raise CardError(f"{CARD_FILE}: tools is declared, the chat template does not mention them")
    if (variable := _unused_effort_variable(card, template)) is not None:
        raise CardError(f"{CARD_FILE}: reasoning_effort: the chat template does not mention {variable}")
    declared = card.embedding.dimensions
    for dimensions in _dimensions(opened):
        if declared not in (None, dimensions):
            raise CardError(f"{CARD_FILE}: embedding.dimensions is {declared}, the model gives {dimensions}")


def _dimensions(opened: LoadedModel) -> list[int]:
    match opened:
        case TextEmbeddingModel():
            return [opened.embedder.dimensions]
        case ImageEmbeddingModel():
            towers = [opened.text.embedder.dimensions] if opened.text is not None else []
            return [*towers, opened.embedder.dimensions]
    return []


def _unused_effort_variable(card: Card, template: ChatTemplate | None) -> str | None:
    """Return a variable that the card sets for a reasoning effort and the chat template does not use."""
    effort = card.extras.get("reasoning_effort")
    variables = {name for values in (effort.template or {}).values() for name in values} if effort else set()
    return next(
        (name for name in sorted(variables) if template is None or not template.uses_variable(name)), None
    )


def _check_providers(settings: Settings) -> None:
    """Raise `InvalidSetting` for execution providers that onnxruntime does not have here."""
    from inference.backends.session import providers

    try:
        providers(settings)
    except CardError as error:
        raise InvalidSetting(str(error)) from None
