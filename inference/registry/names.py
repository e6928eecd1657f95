"""Other names of deployments: those of the settings, and those of the cards."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from inference.api.routes import ROUTES
from inference.cards.card import Deployment
from inference.contracts import Route
from inference.settings.setting import ANY_NAME

log = logging.getLogger(__name__)


class Aliases:
    """The aliases of a catalog, in any case of letters; the settings' go before the cards'.

    An alias may stand for several deployments: of those the first that serves a request's route answers.
    """

    def __init__(
        self, configured: Sequence[tuple[str, str]] = (), deployments: Iterable[Deployment] = ()
    ) -> None:
        """Take the settings' pairs of alias and deployment, and the deployments whose cards have more."""
        deployments = list(deployments)
        names = {deployment.name.lower() for deployment in deployments}
        self._table: dict[str, list[str]] = {}
        self._written: dict[str, str] = {}
        for alias, target in chain(configured, _of_cards(deployments)):
            if alias.lower() in names:
                log.warning("The alias %s of %s is the name of another deployment.", alias, target)
                continue
            self._written.setdefault(alias.lower(), alias)
            targets = self._table.setdefault(alias.lower(), [])
            if target.lower() not in targets:
                targets.append(target.lower())

    def targets(self, name: str) -> Sequence[str]:
        """Return the deployments that an alias stands for, in small letters; none for any other name."""
        return self._table.get(name.lower(), ()) if name != ANY_NAME else ()

    @property
    def of_any_name(self) -> Sequence[str]:
        """The deployments that answer every name that is neither a deployment's nor an alias."""
        return self._table.get(ANY_NAME, ())

    def of(self, deployment: Deployment) -> tuple[str, ...]:
        """Return the aliases of a deployment as they are written, `*` for any name."""
        name = deployment.name.lower()
        return tuple(self._written[alias] for alias, targets in self._table.items() if name in targets)

    def written(self, name: str) -> str:
        """Return an alias as it is written, and any other name as it is."""
        return self._written.get(name.lower(), name)


def _of_cards(deployments: Iterable[Deployment]) -> Iterator[tuple[str, str]]:
    for deployment in deployments:
        for alias in deployment.card.aliases:
            yield alias, deployment.name


DEFAULTS_FILE = "defaults.json"


def read_defaults(root: Path) -> Mapping[Route, str]:
    """Return the default deployment of each route; none where the folder has no valid file."""
    path = root / DEFAULTS_FILE
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.error("%s cannot be read and is ignored: %s", path, error)
        return {}
    routes = {str(route): route for route, row in ROUTES.items() if row.tasks}
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        log.error("%s is ignored: expected an object of routes and names of deployments", path)
        return {}
    if unknown := found.keys() - routes.keys():
        known = ", ".join(routes)
        log.error("%s: %s is no route; the routes are %s", path, ", ".join(sorted(unknown)), known)
    return {routes[route]: name for route, name in found.items() if route in routes}


def write_defaults(root: Path, defaults: Mapping[Route, str]) -> Path:
    """Set the default deployments of some routes, keep those of the others, and return the file's path.

    The file is replaced whole, so that a server never reads half of it. Raises `OSError`.
    """
    path = root / DEFAULTS_FILE
    kept = {**read_defaults(root), **defaults}
    text = json.dumps({str(route): kept[route] for route in sorted(kept)}, indent=2)
    part = root / f".{DEFAULTS_FILE}.part"
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)
    return path
