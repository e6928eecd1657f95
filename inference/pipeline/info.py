"""The bodies of `/info`, `/models` and `/health`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from inference import __version__
from inference.api.routes import with_forms
from inference.cards.card import Deployment
from inference.contracts import Route
from inference.pipeline.capabilities import describe
from inference.settings.setting import ANY_NAME

CREATED = 0
"""OpenAI's `created` of a model; a folder has no such date that would stay the same after a copy."""


Safety: TypeAlias = Callable[[Deployment], Mapping[str, Any]]
"""Describes how a deployment's texts are filtered."""


def info_body(
    deployment: Deployment, safety: Safety, aliases: Sequence[str] = (), store: str = ""
) -> dict[str, Any]:
    """Return the answer of `GET /info`: the API's fields, then the capabilities and the content filter.

    `store` is where responses are kept, in a word.
    """
    card = deployment.card
    return {
        "model_name": card.name,
        "model_type": card.model_type or card.type,
        "model_provider_name": card.provider,
        **({"aliases": list(aliases)} if aliases else {}),
        "description": card.description,
        "license": card.license,
        "context": card.context,
        "routes": ["/" + route for route in sorted(with_forms(card.routes))],
        "capabilities": describe(card),
        **({"inputs": list(card.inputs)} if len(card.inputs) > 1 else {}),
        **({"extras": "any"} if card.accepts_any_extra else {}),
        **({"responses": {"store": store}} if store and Route.CHAT in card.routes else {}),
        "content_safety": safety(deployment),
    }


def model_body(
    name: str, deployment: Deployment, safety: Safety, aliases: Sequence[str], store: str = ""
) -> dict[str, Any]:
    """Return one entry of `GET /models`, under the deployment's name or an alias."""
    owner = deployment.card.provider
    entry = {"id": name, "object": "model", "created": CREATED, "owned_by": owner}
    return {**entry, **info_body(deployment, safety, aliases, store)}


def models_body(
    deployments: Sequence[Deployment],
    safety: Safety,
    aliases_of: Callable[[Deployment], Sequence[str]],
    store: str = "",
) -> dict[str, Any]:
    """Return the answer of `GET /models`: every deployment under its name, then under each of its aliases."""
    entries = [
        model_body(name, deployment, safety, aliases, store)
        for deployment in deployments
        for aliases in [aliases_of(deployment)]
        for name in (deployment.name, *(alias for alias in aliases if alias != ANY_NAME))
    ]
    return {"object": "list", "data": entries}


def health_body(states: Mapping[str, str], condition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer of `GET /health`: the state of every deployment, and the condition of the registry.

    It needs no key: it names no container, and reports problems without addresses.
    """
    return {"status": "ok", "version": __version__, "deployments": dict(states), **condition}
