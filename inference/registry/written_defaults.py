"""`defaults.json` of a folder of deployments: the ones that answer requests without a model name.

It names one deployment for each route: `{"chat/completions": "my-chat"}`. `models add` writes it when a
second deployment makes a route ambiguous, `models default` on request.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from inference.api.routes import ROUTES
from inference.contracts import Route

log = logging.getLogger(__name__)

DEFAULTS_FILE = "defaults.json"


def read_defaults(root: Path) -> Mapping[Route, str]:
    """Return the default deployment of each route; none where the folder has no valid file."""
    path = root / DEFAULTS_FILE
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
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
