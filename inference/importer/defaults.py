"""The defaults of routes, kept when a new deployment makes a route ambiguous."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from inference.api.routes import ROUTES
from inference.contracts import Route
from inference.errors import DeploymentBroken
from inference.importer.findings import Finding
from inference.registry.registry import Registry
from inference.registry.written_defaults import write_defaults
from inference.settings import Settings


def unnamed_answers(settings: Settings, into: Path) -> Mapping[Route, str]:
    """Return the deployment that answers each route's requests without a model name.

    The deployments of `into` count, whether or not INFERENCE_MODELS names it; routes without an answer are
    left out.
    """
    folders = [location.resolve() for location in settings.models if isinstance(location, Path)]
    models = settings.models if into.resolve() in folders else (*settings.models, into)
    registry = Registry.after_listing(replace(settings, models=models))
    answers = {}
    try:
        for route in (route for route, row in ROUTES.items() if row.tasks):
            with suppress(DeploymentBroken):
                if (default := registry.default(route)) is not None:
                    answers[route] = default.name
    finally:
        registry.close()
    return answers


def keep_answers(before: Mapping[Route, str], settings: Settings, into: Path) -> Finding[None]:
    """Write down the defaults that a new deployment would change. Raises `OSError`."""
    after = unnamed_answers(settings, into)
    changed = {route: name for route, name in before.items() if after.get(route) != name}
    if not changed:
        return Finding(None, "")
    path = write_defaults(into, changed)
    kept = ", ".join(f"{name} on /{route}" for route, name in changed.items())
    return Finding(
        None,
        f"Requests without a model name are answered as before, by {kept}: {path} says so now. "
        "`python -m inference models default NAME` chooses another one.",
    )
