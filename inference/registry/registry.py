"""The deployments: found, chosen by name, fetched and opened when first asked for, shared by all requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from inference.backends import BACKENDS
from inference.backends.loaded_models import LoadedModel
from inference.cards.card import CARD_FILE, Card, CardError, Deployment
from inference.contracts import Route, Task
from inference.prompt.chat_template import ChatTemplate
from inference.registry.catalog import BrokenDeployment, Catalog, Entry, read_folders
from inference.registry.container_deployments import LISTED, ContainerDeployments
from inference.registry.memory_estimate import estimate_bytes, release_freed_memory, resident
from inference.registry.model_pool import MIB, Lease, ModelPool
from inference.registry.startup_phases import StartupPhases
from inference.settings import Container, Settings


class Registry:
    """Every deployment of the configured places. Folders are read when the registry is made; containers are
    listed and fetched beside the requests, and never waited for here."""

    def __init__(self, settings: Settings) -> None:
        self.timeline = StartupPhases()
        self._settings = settings
        self._stored = ContainerDeployments(settings, self._listed)
        self._catalog = Catalog(len(settings.models), settings.defaults, lambda: self._stored.unlisted)
        self._residency = ModelPool(
            settings.memory_mb * MIB,
            opener=self._open,
            closed=self._stored.release,
            cost=lambda deployment: estimate_bytes(deployment, settings),
            resident=resident,
            give_back=release_freed_memory,
        )
        for number, place in enumerate(settings.models):
            if isinstance(place, Path):
                self._catalog.put(number, read_folders(place))
        self._stored.start()

    @classmethod
    def settled(cls, settings: Settings, seconds: float = 30) -> Registry:
        """For commands: one that has waited for its containers' lists, and fetches only what is asked for."""
        registry = cls(replace(settings, fetch="request"))
        registry._stored.settle(seconds)
        return registry

    @property
    def unlisted(self) -> Sequence[str]:
        """Of each container that is not known yet: why."""
        return [state for state in self._stored.states if state != LISTED]

    @property
    def deployments(self) -> Sequence[Deployment]:
        """The sound deployments, by name."""
        return self._catalog.deployments

    @property
    def broken(self) -> Sequence[BrokenDeployment]:
        """The folders that were refused, by name."""
        return self._catalog.broken

    def get(self, name: str) -> Deployment:
        """See `Catalog.get`."""
        return self._catalog.get(name)

    def choose(self, route: Route, *, fixed: str | None, asked: str | None) -> Deployment:
        """See `Catalog.choose`."""
        return self._catalog.choose(route, fixed=fixed, asked=asked)

    async def open(self, deployment: Deployment, *, patience: float) -> LoadedModel:
        """The running model, for who needs it for a moment and can bear that it is closed. As `lease`."""
        return (await self.lease(deployment, patience=patience)).opened

    async def lease(self, deployment: Deployment, *, patience: float) -> Lease:
        """The running model, which stays open until the lease is released.

        Raises `ModelNotReady` while it is being fetched, at once, and what `ModelPool.lease` raises.
        """
        self._stored.require(deployment)
        return await self._residency.lease(deployment, patience=patience)

    def state(self, deployment: Deployment) -> str:
        """`fetching`, `closed`, `loading`, `open` or `broken`."""
        progress = self._stored.progress(deployment)
        if progress is not None:
            return "broken" if progress.hopeless else "fetching"
        return self._residency.state(deployment)

    def condition(self) -> dict[str, Any]:
        """What `/health` says beyond states: bytes that were fetched, memory, containers, phases."""
        fetching = {d.name: p.body() for d in self.deployments if (p := self._stored.progress(d)) is not None}
        return {
            "fetching": fetching,
            "containers": self._stored.states,
            "memory": {"used_mb": self._residency.used // MIB, "budget_mb": self._settings.memory_mb},
            "start": self.timeline.body(),
        }

    def bring(self, deployment: Deployment, seconds: float) -> None:
        """For commands: waits until a deployment is on this machine, at most so long."""
        self._stored.bring(deployment, seconds)

    async def aclose(self) -> None:
        """As `close`, and waits for connections of the running event loop."""
        for opened in self._residency.opened:
            await opened.aclose()
        self.close()

    def close(self) -> None:
        """Closes every open model, waits for one that is still loading, and ends what is being fetched."""
        self._stored.close()
        self._residency.close()

    def _listed(self, container: Container, entries: Sequence[Entry]) -> None:
        self._catalog.put(self._settings.models.index(container), entries)

    def _open(self, deployment: Deployment) -> LoadedModel:
        """In the loader's thread. Raises `CardError` where the files are at fault."""
        self._stored.hold(deployment)
        if seconds := self._stored.seconds(deployment):
            self.timeline.note(deployment.name, "fetch", seconds)
        try:
            with self.timeline.phase(deployment.name, "import"):
                BACKENDS[deployment.card.backend].load()
            with self.timeline.phase(deployment.name, "open"):
                return _open(deployment, self._settings)
        except BaseException as error:
            self._stored.release(deployment)
            if isinstance(error, CardError):
                self._stored.doubt(deployment)
            raise


def _open(deployment: Deployment, settings: Settings) -> LoadedModel:
    opened = BACKENDS[deployment.card.backend].open(deployment, settings)
    try:
        _agree(deployment.card, opened)
    except CardError:
        opened.close()
        raise
    return opened


def _agree(card: Card, opened: LoadedModel) -> None:
    """Whether the open model can do what its card says. Raises `CardError`."""
    if opened.upstream is not None:
        return
    if card.type is Task.CHAT and opened.chat_template is None:
        raise CardError("files.chat_template is missing: a chat deployment needs one")
    if "tools" in card.parameters and not (opened.chat_template and opened.chat_template.takes_tools):
        raise CardError(f"{CARD_FILE}: tools is declared, the chat template does not mention them")
    if (unheard := _unheard(card, opened.chat_template)) is not None:
        raise CardError(f"{CARD_FILE}: reasoning_effort: the chat template does not mention {unheard}")
    declared = card.embedding.dimensions
    for embedder in (opened.text_embedder, opened.image_embedder):
        if embedder is not None and declared is not None and embedder.dimensions != declared:
            raise CardError(
                f"{CARD_FILE}: embedding.dimensions is {declared}, the model gives {embedder.dimensions}"
            )


def _unheard(card: Card, template: ChatTemplate | None) -> str | None:
    """A variable by which the card tells an effort, and of which the chat template knows nothing."""
    effort = card.extras.get("reasoning_effort")
    told = {name for given in (effort.template or {}).values() for name in given} if effort else set()
    return next((name for name in sorted(told) if template is None or not template.mentions(name)), None)
