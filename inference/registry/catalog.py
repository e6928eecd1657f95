"""The catalog of deployments: read from folders or listed in containers, and chosen by name or route."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from inference.api.routes import ROUTES
from inference.backends import BACKENDS
from inference.cards.card import CARD_FILE, Card, CardError, Deployment, load
from inference.contracts import Route
from inference.errors import DeploymentBroken, ModelNotReady, NoModelName, NotFound, UnknownModel
from inference.tool_formats import TOOL_FORMATS

log = logging.getLogger(__name__)

EMBEDDING_ROUTES = (Route.EMBEDDINGS, Route.IMAGE_EMBEDDINGS)


@dataclass(frozen=True, slots=True)
class BrokenDeployment:
    """A folder with a card that cannot be a deployment, and the reason."""

    name: str
    reason: str


Entry: TypeAlias = Deployment | BrokenDeployment


class Catalog:
    """The deployments of several locations; of two with one name, that of the earlier location counts."""

    def __init__(self, locations: int, defaults: Sequence[str], listing_problem: Callable[[], str]) -> None:
        """Take the number of locations, and the reason why not all are listed yet, empty if they are."""
        self._entries: list[Sequence[Entry]] = [()] * locations
        self._defaults = defaults
        self._listing_problem = listing_problem
        self._deployments: Mapping[str, Deployment] = {}
        self._broken: Mapping[str, BrokenDeployment] = {}

    def put(self, location: int, entries: Sequence[Entry]) -> None:
        """Replace all entries of one location, by its index."""
        self._entries[location] = entries
        deployments: dict[str, Deployment] = {}
        broken: dict[str, BrokenDeployment] = {}
        for entry in (entry for each in self._entries for entry in each):
            if isinstance(entry, Deployment) and entry.name in deployments:
                reason = f"{CARD_FILE}: name: {entry.name!r} is taken by another folder"
                folder = entry.folder
                entry = BrokenDeployment(str(folder) if folder.name in deployments else folder.name, reason)
            if isinstance(entry, Deployment):
                deployments[entry.name] = entry
            else:
                broken[entry.name] = entry
        for name in broken.keys() - self._broken.keys():
            log.error("The deployment %s is broken: %s", name, broken[name].reason)
        self._deployments, self._broken = deployments, broken

    @property
    def deployments(self) -> Sequence[Deployment]:
        """The valid deployments, sorted by name."""
        return [found for _, found in sorted(self._deployments.items())]

    @property
    def broken(self) -> Sequence[BrokenDeployment]:
        """The broken deployments, sorted by name."""
        return [found for _, found in sorted(self._broken.items())]

    def get(self, name: str) -> Deployment:
        """Return the deployment of a name, in any case.

        Raises `UnknownModel`, `DeploymentBroken`, and `ModelNotReady` while a container that may have it is
        not listed.
        """
        for known, deployment in self._deployments.items():
            if known.lower() == name.lower():
                return deployment
        for known, broken in self._broken.items():
            if known.lower() == name.lower():
                raise DeploymentBroken(f"The deployment {known} is broken: {broken.reason}")
        self._require_listing(f"The deployment {name} is not known yet")
        raise UnknownModel(f"Unknown model: {name}")

    def choose(self, route: Route, *, fixed: str | None, model: str | None) -> Deployment:
        """Return the deployment that serves a request.

        `fixed` is a name in the path or a header and has to be right; `model` is that of the body, ignored
        when exactly one deployment serves the route. Raises `UnknownModel`, `NotFound`, `NoModelName`,
        `DeploymentBroken`, `ModelNotReady`.
        """
        if fixed:
            return _require_route(self.get(fixed), route)
        candidates = self._info_candidates() if route == Route.INFO else self._candidates(route)
        if model:
            known = self._find(model)
            if known is not None or len(candidates) != 1 or self._listing_problem():
                return _require_route(known or self.get(model), route)
        if len(candidates) == 1:
            return candidates[0]
        return self._default(route, candidates)

    def _find(self, name: str) -> Deployment | None:
        try:
            return self.get(name)
        except (UnknownModel, ModelNotReady):
            return None

    def _require_listing(self, message: str) -> None:
        if problem := self._listing_problem():
            raise ModelNotReady(f"{message}: {problem}.")

    def _candidates(self, route: Route) -> list[Deployment]:
        """Return the deployments made for a route, or else all that can serve it."""
        if route == Route.INFO:
            return list(self.deployments)
        serving = [d for d in self.deployments if route in d.card.routes]
        return [d for d in serving if d.card.type in ROUTES[route].tasks] or serving

    def _info_candidates(self) -> list[Deployment]:
        """Return the deployment that `/info` describes without a name, or all candidates.

        It is the only deployment of the first route that has exactly one.
        """
        if self._defaults:
            return self._candidates(Route.INFO)
        lists = (self._candidates(route) for route in (Route.CHAT, Route.COMPLETIONS, *EMBEDDING_ROUTES))
        return next((only for only in lists if len(only) == 1), self._candidates(Route.INFO))

    def _default(self, route: Route, candidates: Sequence[Deployment]) -> Deployment:
        for name in self._defaults:
            deployment = self._find(name)
            if deployment is not None and deployment in candidates:
                return deployment
        if not candidates:
            self._require_listing(f"No deployment that serves {route} is known yet")
            names = ", ".join(self._broken)
            broken = f" (broken: {names})" if names else ""
            raise NotFound(f"Not Found: no deployment serves {route}{broken}.")
        names = ", ".join(d.name for d in candidates)
        raise NoModelName(f"No model name: set `model` to one of {names}.")


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


def _require_route(deployment: Deployment, route: Route) -> Deployment:
    if route not in deployment.card.routes and route != Route.INFO:
        raise NotFound(f"Not Found: {deployment.name} does not serve {route}.")
    return deployment
