"""The catalog of deployments: read from folders or listed in containers, and chosen by name or route."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import NoReturn

from inference.api.routes import ROUTES
from inference.cards.card import CARD_FILE, Deployment
from inference.contracts import Route
from inference.errors import (
    DeploymentBroken,
    Location,
    ModelNotReady,
    NoModelName,
    NotFound,
    Offender,
    UnknownModel,
)
from inference.registry.folders import BrokenDeployment, Entry
from inference.registry.names import Aliases

log = logging.getLogger(__name__)

UNNAMED_ROUTES = tuple(row.route for row in ROUTES.values() if row.tasks)
"""The routes that deployments serve; `/info` without a name describes the deployment of the first of them."""
MOST_NAMES = 20
"""Names that a refusal lists; `/models` has them all."""
UNKNOWN = "no deployment and no alias has this name"
UNANSWERED = "are refused until INFERENCE_DEFAULT_DEPLOYMENTS or `models default NAME` names one"


class Catalog:
    """The deployments of several locations; of two with one name, that of the earlier location counts."""

    def __init__(
        self,
        locations: int,
        defaults: Sequence[str],
        listing_problem: Callable[[], str],
        aliases: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Take the number of locations, the settings' defaults and aliases, and a function of the listing.

        `listing_problem` returns the reason why not all locations are listed yet, empty if they are.
        """
        self._entries: list[Sequence[Entry]] = [()] * locations
        self._written: list[Mapping[Route, str]] = [{}] * locations
        self._defaults = defaults
        self._listing_problem = listing_problem
        self._configured_aliases = aliases
        self._aliases = Aliases()
        self._reported: dict[Route, str] = {}
        """The sentences about the defaults of routes that are in the log."""
        self._deployments: Mapping[str, Deployment] = {}
        self._broken: Mapping[str, BrokenDeployment] = {}

    def put(
        self, location: int, entries: Sequence[Entry], written: Mapping[Route, str] = MappingProxyType({})
    ) -> None:
        """Replace all entries of one location, by its index, and the defaults that are written there."""
        self._entries[location], self._written[location] = entries, written
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
        self._aliases = Aliases(self._configured_aliases, self.deployments)
        self._report_defaults()

    def _report_defaults(self) -> None:
        """Log for each route that several deployments serve which one answers requests without a name."""
        for route in UNNAMED_ROUTES:
            if len(candidates := self._candidates(route)) < 2:
                continue
            with suppress(DeploymentBroken):
                default = self._unnamed(route)
                names = ", ".join(one.name for one in candidates)
                answer = f"are answered by {default.name}" if default else UNANSWERED
                sentence = f"{names} serve {route}. Requests without a model name {answer}."
                if self._reported.get(route) != sentence:
                    self._reported[route] = sentence
                    log.info("%s", sentence)

    @property
    def deployments(self) -> Sequence[Deployment]:
        """The valid deployments, sorted by name."""
        return [found for _, found in sorted(self._deployments.items())]

    @property
    def broken(self) -> Sequence[BrokenDeployment]:
        """The broken deployments, sorted by name."""
        return [found for _, found in sorted(self._broken.items())]

    def unknown_default(self) -> str:
        """Return a sentence about the first default that is no deployment's name, empty if all are."""
        known = [*self._deployments, *self._broken]
        names = {name.lower() for name in known}
        for name in self._defaults:
            if name.lower() not in names:
                return f"there is no deployment {name}; there are {', '.join(sorted(known)) or 'none'}."
        return ""

    def get(self, name: str) -> Deployment:
        """Return the deployment of a name, in any case; aliases are no names.

        Raises `UnknownModel`, `DeploymentBroken`, and `ModelNotReady` while a container that may have it is
        not listed.
        """
        if (found := self._own(name)) is not None:
            return found
        self._require_listing(f"The deployment {name} is not known yet")
        raise UnknownModel(f"Unknown model: {name}. {self._list(self.deployments)}")

    def choose(self, route: Route, *, fixed: str | None, model: str | None) -> Deployment:
        """Return the deployment that serves a request: the one it names, or else the default.

        A name may be an alias. `fixed` is that of the path or a header and goes before `model`, that of the
        body. Raises `UnknownModel`, `NotFound`, `NoModelName`, `DeploymentBroken`, `ModelNotReady`.
        """
        if name := fixed or model:
            return self._named(name, route, () if fixed else (Offender(_place(route), name, UNKNOWN),))
        found = self._unnamed_info() if route == Route.INFO else self._unnamed(route)
        return found or self._refuse_unnamed(route)

    def find(self, name: str) -> tuple[Deployment, str]:
        """Return the deployment of a name or an alias, and the name or alias as `/models` lists it.

        Raises as `choose` does.
        """
        deployment = self._named(name, Route.INFO)
        known = name.lower() != deployment.name.lower() and self._aliases.targets(name)
        return deployment, self._aliases.written(name) if known else deployment.name

    def aliases(self, deployment: Deployment) -> tuple[str, ...]:
        """Return the aliases of a deployment."""
        return self._aliases.of(deployment)

    def default(self, route: Route) -> Deployment | None:
        """Return the deployment for a route's requests without a model name, None if they are refused.

        Raises `DeploymentBroken` if the default is broken.
        """
        return self._unnamed(route)

    def _own(self, name: str) -> Deployment | None:
        """Return the deployment of a name, None where no deployment has it. Raises `DeploymentBroken`."""
        for known, deployment in self._deployments.items():
            if known.lower() == name.lower():
                return deployment
        for known, broken in self._broken.items():
            if known.lower() == name.lower():
                raise DeploymentBroken(f"The deployment {known} is broken: {broken.reason}")
        return None

    def _named(self, name: str, route: Route, offenders: Sequence[Offender] = ()) -> Deployment:
        """Return the deployment that serves a route under a name or an alias."""
        if (found := self._own(name)) is not None:
            return self._require_route(found, route, found.name)
        targets = self._aliases.targets(name)
        if not targets:
            # A container that is not listed yet may have a deployment of this very name.
            self._require_listing(f"The deployment {name} is not known yet")
            targets = self._aliases.of_any_name
        known = [deployment for target in targets if (deployment := self._own(target)) is not None]
        serving = (one for one in known if route == Route.INFO or route in one.card.routes)
        if known:
            return self._require_route(next(serving, known[0]), route, name)
        return self._refuse_unknown(name, targets, route, offenders)

    def _require_route(self, deployment: Deployment, route: Route, name: str) -> Deployment:
        """Return the deployment that a name stands for. Raises `NotFound` if it does not serve the route."""
        if route in deployment.card.routes or route == Route.INFO:
            return deployment
        subject = deployment.name
        if name != subject:
            subject = f"{name} is an alias of {subject}, which"
        serving = self._list(self._serving(route), route)
        raise NotFound(f"Not Found: {subject} does not serve {route}. {serving}")

    def _refuse_unknown(
        self, name: str, targets: Sequence[str], route: Route, offenders: Sequence[Offender]
    ) -> NoReturn:
        alias = f" is an alias of {', '.join(targets)}, and there is no such deployment" if targets else ""
        if targets:
            self._require_listing(f"The deployment {', '.join(targets)} is not known yet")
        serving = self.deployments if route == Route.INFO else self._serving(route)
        message = f"Unknown model: {name}{alias}. {self._list(serving, route)}"
        raise UnknownModel(message, offenders=offenders)

    @staticmethod
    def _list(deployments: Sequence[Deployment], route: Route | None = None) -> str:
        """Return a sentence with the names of deployments."""
        of_route = f" of {route}" if route not in (None, Route.INFO) else ""
        if not deployments:
            return f"There is no deployment{of_route}."
        names = [deployment.name for deployment in deployments]
        more = f", and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        return f"The deployments{of_route} are: {', '.join(names[:MOST_NAMES])}{more}."

    def _require_listing(self, message: str) -> None:
        if problem := self._listing_problem():
            raise ModelNotReady(f"{message}: {problem}.")

    def _serving(self, route: Route) -> list[Deployment]:
        return [deployment for deployment in self.deployments if route in deployment.card.routes]

    def _candidates(self, route: Route) -> list[Deployment]:
        """Return the deployments made for a route, or else all that can serve it."""
        serving = self._serving(route)
        return [d for d in serving if d.card.type in ROUTES[route].tasks] or serving

    def _unnamed(self, route: Route) -> Deployment | None:
        """Return the deployment for a request without a name: the default, or else the only candidate."""
        candidates = self._candidates(route)
        written = [names[route] for names in self._written if route in names]
        if len(candidates) == 1 and not written:
            return candidates[0]
        for name in self._defaults:
            if (found := self._own(name)) is not None and found in candidates:
                return found
        for name in written:
            if (found := self._own(name)) is not None and route in found.card.routes:
                return found
        return candidates[0] if len(candidates) == 1 else None

    def _unnamed_info(self) -> Deployment | None:
        """Return the deployment that `/info` describes without a name: a default, or that of a route."""
        for name in self._defaults:
            if (found := self._own(name)) is not None:
                return found
        if len(self._deployments) == 1:
            return self.deployments[0]
        unnamed = map(self._unnamed, UNNAMED_ROUTES)
        return next((found for found in unnamed if found is not None), None)

    def _refuse_unnamed(self, route: Route) -> NoReturn:
        candidates = self.deployments if route == Route.INFO else self._candidates(route)
        if not candidates:
            self._require_listing(f"No deployment that serves {route} is known yet")
            names = ", ".join(self._broken)
            broken = f" (broken: {names})" if names else ""
            raise NotFound(f"Not Found: no deployment serves {route}{broken}.")
        names = ", ".join(d.name for d in candidates)
        raise NoModelName(f"No model name: set `model` to one of {names}.")


def _place(route: Route) -> Location:
    return ("query" if route == Route.INFO else "body", "model")
