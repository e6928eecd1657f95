"""Which deployments there are, and which of them answers a request."""

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
    """A folder that has a card and cannot be a deployment, and why."""

    name: str
    reason: str


Entry: TypeAlias = Deployment | BrokenDeployment


class Catalog:
    """The deployments of several places. An earlier place has its names first, whoever tells first."""

    def __init__(self, places: int, defaults: Sequence[str], unlisted: Callable[[], str]) -> None:
        """`places`: how many; `unlisted`: why not all of them are known yet, empty when they are."""
        self._entries: list[Sequence[Entry]] = [()] * places
        self._defaults = defaults
        self._unlisted = unlisted
        self._deployments: Mapping[str, Deployment] = {}
        self._broken: Mapping[str, BrokenDeployment] = {}

    def put(self, place: int, entries: Sequence[Entry]) -> None:
        """Says all that one place has, in place of what was said of it before."""
        self._entries[place] = entries
        deployments: dict[str, Deployment] = {}
        broken: dict[str, BrokenDeployment] = {}
        for entry in (entry for each in self._entries for entry in each):
            if isinstance(entry, Deployment) and entry.name in deployments:
                reason = f"{CARD_FILE}: name: {entry.name!r} is taken by another folder"
                entry = BrokenDeployment(_free(entry.folder.name, str(entry.folder), deployments), reason)
            if isinstance(entry, Deployment):
                deployments[entry.name] = entry
            else:
                broken[entry.name] = entry
        for name in broken.keys() - self._broken.keys():
            log.error("The deployment %s is broken: %s", name, broken[name].reason)
        self._deployments, self._broken = deployments, broken

    @property
    def deployments(self) -> Sequence[Deployment]:
        """The sound deployments, by name."""
        return [found for _, found in sorted(self._deployments.items())]

    @property
    def broken(self) -> Sequence[BrokenDeployment]:
        """The folders that were refused, by name."""
        return [found for _, found in sorted(self._broken.items())]

    def get(self, name: str) -> Deployment:
        """Raises `UnknownModel`, `DeploymentBroken` for a folder that was refused, and `ModelNotReady` while
        a container that may hold it has not been listed."""
        for known, deployment in self._deployments.items():
            if known.lower() == name.lower():
                return deployment
        for known, broken in self._broken.items():
            if known.lower() == name.lower():
                raise DeploymentBroken(f"The deployment {known} is broken: {broken.reason}")
        self._wait(f"Whether there is a deployment {name} is not known yet")
        raise UnknownModel(f"Unknown model: {name}")

    def choose(self, route: Route, *, fixed: str | None, asked: str | None) -> Deployment:
        """The deployment that answers a route.

        `fixed` is a name in the path or a header and must be right; `asked` is the body's `model`, which is
        ignored when one deployment is all there is for the route. Raises `UnknownModel`, `NotFound`,
        `NoModelName`, `DeploymentBroken`, `ModelNotReady`.
        """
        if fixed:
            return _serving(self.get(fixed), route)
        candidates = self._introduced() if route == Route.INFO else self._candidates(route)
        if asked:
            known = self._known(asked)
            if known is not None or len(candidates) != 1 or self._unlisted():
                return _serving(known or self.get(asked), route)
        if len(candidates) == 1:
            return candidates[0]
        return self._default(route, candidates)

    def _known(self, name: str) -> Deployment | None:
        try:
            return self.get(name)
        except (UnknownModel, ModelNotReady):
            return None

    def _wait(self, what: str) -> None:
        if problem := self._unlisted():
            raise ModelNotReady(f"{what}: {problem}.")

    def _candidates(self, route: Route) -> list[Deployment]:
        """Who serves a route; those made for it where there are any, else those that can do it too."""
        if route == Route.INFO:
            return list(self.deployments)
        serving = [d for d in self.deployments if route in d.card.routes]
        return [d for d in serving if d.card.type in ROUTES[route].tasks] or serving

    def _introduced(self) -> list[Deployment]:
        """Who `/info` speaks of unasked: the only deployment of the first route that has just one."""
        if self._defaults:
            return self._candidates(Route.INFO)
        lists = (self._candidates(route) for route in (Route.CHAT, Route.COMPLETIONS, *EMBEDDING_ROUTES))
        return next((only for only in lists if len(only) == 1), self._candidates(Route.INFO))

    def _default(self, route: Route, candidates: Sequence[Deployment]) -> Deployment:
        for name in self._defaults:
            deployment = self._known(name)
            if deployment is not None and deployment in candidates:
                return deployment
        if not candidates:
            self._wait(f"Whether a deployment serves {route} is not known yet")
            names = ", ".join(self._broken)
            excuse = f" (broken: {names})" if names else ""
            raise NotFound(f"Not Found: no deployment serves {route}{excuse}.")
        names = ", ".join(d.name for d in candidates)
        raise NoModelName(f"No model name: set `model` to one of {names}.")


def read_folders(root: Path) -> list[Entry]:
    """The deployments of a folder: itself, or its sub-folders; a hidden one is still being made."""
    return [_read(folder) for folder in _folders(root)]


def _folders(root: Path) -> Iterator[Path]:
    if (root / CARD_FILE).is_file():
        yield root
    elif root.is_dir():
        yield from sorted(card.parent for card in root.glob(f"[!.]*/{CARD_FILE}"))
    else:
        log.error("INFERENCE_MODELS names %s, which is not a folder", root)


def _read(folder: Path) -> Entry:
    try:
        deployment = load(folder)
        check(deployment.card)
        for role in deployment.card.files:
            deployment.file(role)
    except CardError as error:
        return BrokenDeployment(folder.name, str(error))
    return deployment


def check(card: Card) -> None:
    """What can be known of a deployment without its files. Raises `CardError`."""
    backend = BACKENDS.get(card.backend)
    if backend is None:
        raise CardError(f"{CARD_FILE}: backend: {card.backend!r} is none of {', '.join(BACKENDS)}")
    if card.type not in backend.tasks:
        raise CardError(f"{CARD_FILE}: type: {card.backend} does not run {card.type}")
    for name in {**card.parameters, **card.extras}:
        if name not in backend.honours:
            raise CardError(f"{CARD_FILE}: {name} is declared, {card.backend} cannot honour it")
    if strange := set(card.inputs) - backend.inputs:
        raise CardError(f"{CARD_FILE}: inputs: {card.backend} cannot read {', '.join(sorted(strange))}")
    tools = card.parameters.get("tools")
    if tools is not None and card.remote is None and tools.dialect not in TOOL_FORMATS:
        raise CardError(f"{CARD_FILE}: tools: dialect {tools.dialect!r} is none of {', '.join(TOOL_FORMATS)}")


def _free(name: str, longer: str, taken: Mapping[str, Deployment]) -> str:
    return name if name not in taken else longer


def _serving(deployment: Deployment, route: Route) -> Deployment:
    if route not in deployment.card.routes and route != Route.INFO:
        raise NotFound(f"Not Found: {deployment.name} does not serve {route}.")
    return deployment
