"""The deployments: found, chosen by name, opened when first asked for, shared by all requests, closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from inference.backends import BACKENDS
from inference.backends.opened import Opened
from inference.card import CARD_FILE, ROUTES, Card, CardError, Deployment, load
from inference.contracts import Route, Task
from inference.errors import DeploymentBroken, ModelNotReady, NoModelName, NotFound, UnknownModel
from inference.reply.tool_calls import DIALECTS
from inference.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Broken:
    """A folder that has a card and cannot be a deployment, and why."""

    name: str
    reason: str


class Registry:
    """Every deployment under the configured folders. Cards are read once, when the registry is made."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._deployments: dict[str, Deployment] = {}
        self._broken: dict[str, Broken] = {}
        self._open: dict[str, Future[Opened]] = {}
        self._lock = Lock()
        self._loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="load")
        for folder in _folders(settings.models):
            self._add(folder)

    @property
    def deployments(self) -> Sequence[Deployment]:
        """The sound deployments, by name."""
        return [self._deployments[name] for name in sorted(self._deployments)]

    @property
    def broken(self) -> Sequence[Broken]:
        """The folders that were refused, by name."""
        return [self._broken[name] for name in sorted(self._broken)]

    def get(self, name: str) -> Deployment:
        """Raises `UnknownModel`, or `DeploymentBroken` for a folder that was refused."""
        for known, deployment in self._deployments.items():
            if known.lower() == name.lower():
                return deployment
        for known, broken in self._broken.items():
            if known.lower() == name.lower():
                raise DeploymentBroken(f"The deployment {known} is broken: {broken.reason}")
        raise UnknownModel(f"Unknown model: {name}")

    def choose(self, route: Route, *, fixed: str | None, asked: str | None) -> Deployment:
        """The deployment that answers a route.

        `fixed` is a name in the path or a header and must be right; `asked` is the body's `model`, which is
        ignored when one deployment is all there is for the route. Raises `UnknownModel`, `NotFound`,
        `NoModelName`, `DeploymentBroken`.
        """
        if fixed:
            return _serving(self.get(fixed), route)
        candidates = self._introduced() if route is Route.INFO else self._candidates(route)
        if asked:
            known = self._known(asked)
            if known is not None or len(candidates) != 1:
                return _serving(known or self.get(asked), route)
        if len(candidates) == 1:
            return candidates[0]
        return self._default(route, candidates)

    async def open(self, deployment: Deployment, *, patience: float) -> Opened:
        """The running model, loaded on first use in a thread of its own.

        Raises `ModelNotReady` when it takes longer than `patience` seconds (loading goes on), and
        `DeploymentBroken` when the files are not what the card says.
        """
        future = self._loading(deployment)
        try:
            if future.done():
                return future.result()
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), patience)
        except TimeoutError:
            raise ModelNotReady(f"{deployment.name} is still loading.") from None
        except CardError as error:
            raise DeploymentBroken(f"The deployment {deployment.name} is broken: {error}") from None

    def state(self, deployment: Deployment) -> str:
        """`closed` before the first request, then `loading`, then `open` or `broken`."""
        future = self._open.get(deployment.name)
        if future is None or future.cancelled():
            return "closed"
        if not future.done():
            return "loading"
        return "broken" if future.exception() else "open"

    async def aclose(self) -> None:
        """As `close`, and waits for connections of the running event loop."""
        for future in self._open.values():
            if future.done() and not future.cancelled() and future.exception() is None:
                await future.result().aclose()
        self.close()

    def close(self) -> None:
        """Closes every open model and waits for one that is still loading."""
        self._loader.shutdown(wait=True, cancel_futures=True)
        for future in self._open.values():
            if not future.cancelled() and future.exception() is None:
                future.result().close()
        self._open.clear()

    def _add(self, folder: Path) -> None:
        try:
            deployment = load(folder)
            _check(deployment)
            if deployment.name in self._deployments:
                raise CardError(f"{CARD_FILE}: name: {deployment.name!r} is taken by another folder")
        except CardError as error:
            name = folder.name if folder.name not in self._deployments else str(folder)
            self._broken[name] = Broken(name, str(error))
            log.error("The deployment in %s is broken: %s", folder, error)
        else:
            self._deployments[deployment.name] = deployment

    def _loading(self, deployment: Deployment) -> Future[Opened]:
        with self._lock:
            future = self._open.get(deployment.name)
            if future is None or _may_heal(future):
                future = self._loader.submit(_open, deployment, self._settings)
                self._open[deployment.name] = future
            return future

    def _known(self, name: str) -> Deployment | None:
        try:
            return self.get(name)
        except UnknownModel:
            return None

    def _candidates(self, route: Route) -> list[Deployment]:
        """Who serves a route; those made for it where there are any, else those that can do it too."""
        if route is Route.INFO:
            return list(self.deployments)
        serving = [d for d in self.deployments if route in d.card.routes]
        first = ROUTES_FIRST.get(route, frozenset())
        return [d for d in serving if d.card.type in first] or serving

    def _introduced(self) -> list[Deployment]:
        """Who `/info` speaks of unasked: the only deployment of the first route that has just one."""
        if self._settings.defaults:
            return self._candidates(Route.INFO)
        lists = (self._candidates(route) for route in (Route.CHAT, Route.COMPLETIONS, *EMBEDDING_ROUTES))
        return next((only for only in lists if len(only) == 1), self._candidates(Route.INFO))

    def _excuse(self) -> str:
        names = ", ".join(broken.name for broken in self.broken)
        return f" (broken: {names})" if names else ""

    def _default(self, route: Route, candidates: Sequence[Deployment]) -> Deployment:
        for name in self._settings.defaults:
            deployment = self._known(name)
            if deployment is not None and deployment in candidates:
                return deployment
        if not candidates:
            raise NotFound(f"Not Found: no deployment serves {route}{self._excuse()}.")
        names = ", ".join(d.name for d in candidates)
        raise NoModelName(f"No model name: set `model` to one of {names}.")


EMBEDDING_ROUTES = (Route.EMBEDDINGS, Route.IMAGE_EMBEDDINGS)

ROUTES_FIRST: Mapping[Route, frozenset[str]] = {
    route: frozenset(task for task, routes in ROUTES.items() if route in routes) for route in Route
}
"""Per route the tasks that it is for, not only open to."""


def _folders(roots: Sequence[Path]) -> Iterator[Path]:
    """The folders with a card: each root itself, or its sub-folders."""
    for root in roots:
        if (root / CARD_FILE).is_file():
            yield root
        elif root.is_dir():
            yield from sorted(card.parent for card in root.glob(f"*/{CARD_FILE}"))
        else:
            log.error("INFERENCE_MODELS names %s, which is not a folder", root)


def _check(deployment: Deployment) -> None:
    """What can be known of a deployment without opening it. Raises `CardError`."""
    card = deployment.card
    backend = BACKENDS.get(card.backend)
    if backend is None:
        raise CardError(f"{CARD_FILE}: backend: {card.backend!r} is none of {', '.join(BACKENDS)}")
    if card.type not in backend.tasks:
        raise CardError(f"{CARD_FILE}: type: {card.backend} does not run {card.type}")
    for name, limits in {**card.parameters, **card.extras}.items():
        if name not in backend.honours:
            raise CardError(f"{CARD_FILE}: {name} is declared, {card.backend} cannot honour it")
        beyond = set(limits.values or ()) - backend.values.get(name, frozenset(limits.values or ()))
        if beyond:
            raise CardError(f"{CARD_FILE}: {name}: {card.backend} cannot honour {', '.join(sorted(beyond))}")
    if strange := set(card.inputs) - backend.inputs:
        raise CardError(f"{CARD_FILE}: inputs: {card.backend} cannot read {', '.join(sorted(strange))}")
    tools = card.parameters.get("tools")
    if tools is not None and card.remote is None and tools.dialect not in DIALECTS:
        raise CardError(f"{CARD_FILE}: tools: dialect {tools.dialect!r} is none of {', '.join(DIALECTS)}")
    for role in card.files:
        deployment.file(role)


def _open(deployment: Deployment, settings: Settings) -> Opened:
    opened = BACKENDS[deployment.card.backend].open(deployment, settings)
    try:
        _agree(deployment.card, opened)
    except CardError:
        opened.close()
        raise
    return opened


def _agree(card: Card, opened: Opened) -> None:
    """Whether the open model can do what its card says. Raises `CardError`."""
    if opened.upstream is not None:
        return
    if card.type is Task.CHAT and opened.chat_template is None:
        raise CardError("files.chat_template is missing: a chat deployment needs one")
    if "tools" in card.parameters and not (opened.chat_template and opened.chat_template.takes_tools):
        raise CardError(f"{CARD_FILE}: tools is declared, the chat template does not mention them")
    declared = card.embedding.dimensions
    for embedder in (opened.text_embedder, opened.image_embedder):
        if embedder is not None and declared is not None and embedder.dimensions != declared:
            raise CardError(
                f"{CARD_FILE}: embedding.dimensions is {declared}, the model gives {embedder.dimensions}"
            )


def _may_heal(future: Future[Opened]) -> bool:
    """Whether another try can help: a failure of the files cannot, one of the machine can."""
    if not future.done() or future.cancelled():
        return False
    error = future.exception()
    return error is not None and not isinstance(error, CardError)


def _serving(deployment: Deployment, route: Route) -> Deployment:
    if route not in deployment.card.routes and route is not Route.INFO:
        raise NotFound(f"Not Found: {deployment.name} does not serve {route}.")
    return deployment
