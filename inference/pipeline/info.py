"""What an endpoint says of its deployments: `/info`, `/models` and `/health`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from inference import __version__
from inference.cards.card import Deployment
from inference.pipeline.capabilities import describe
from inference.registry.registry import Registry

CREATED = 0
"""OpenAI's `created` of a model; a folder has no such date that would stay the same after a copy."""


Safety: TypeAlias = Callable[[Deployment], Mapping[str, Any]]
"""Tells how a deployment's texts are filtered."""


def info_body(deployment: Deployment, safety: Safety) -> dict[str, Any]:
    """`GET /info`: the three fields of the API, then what the deployment can do and is held to."""
    card = deployment.card
    return {
        "model_name": card.name,
        "model_type": card.model_type or card.type,
        "model_provider_name": card.provider,
        "description": card.description,
        "license": card.license,
        "context": card.context,
        "routes": ["/" + route for route in sorted(card.routes)],
        "capabilities": describe(card),
        **({"inputs": list(card.inputs)} if len(card.inputs) > 1 else {}),
        **({"extras": "any"} if card.takes_any else {}),
        "content_safety": safety(deployment),
    }


def model_body(deployment: Deployment, safety: Safety) -> dict[str, Any]:
    """One entry of `GET /models`, which OpenAI's clients list as well."""
    owner = deployment.card.provider
    entry = {"id": deployment.name, "object": "model", "created": CREATED, "owned_by": owner}
    return {**entry, **info_body(deployment, safety)}


def models_body(deployments: Sequence[Deployment], safety: Safety) -> dict[str, Any]:
    return {"object": "list", "data": [model_body(deployment, safety) for deployment in deployments]}


def health_body(registry: Registry) -> dict[str, Any]:
    """`GET /health`: the app is up; which deployments are sound, and which of them are open.

    Nobody needs a key for it: it names no container, and problems are told without addresses.
    """
    return {
        "status": "ok",
        "version": __version__,
        "deployments": {
            **{d.name: registry.state(d) for d in registry.deployments},
            **{broken.name: "broken" for broken in registry.broken},
        },
        **registry.condition(),
    }
