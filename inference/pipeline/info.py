"""The bodies of `/info`, `/models` and `/health`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from inference import __version__
from inference.cards.card import Deployment
from inference.pipeline.capabilities import describe

CREATED = 0
"""OpenAI's `created` of a model; a folder has no such date that would stay the same after a copy."""


Safety: TypeAlias = Callable[[Deployment], Mapping[str, Any]]
"""Describes how a deployment's texts are filtered."""


def info_body(deployment: Deployment, safety: Safety) -> dict[str, Any]:
    """Return the answer of `GET /info`: the API's fields, then the capabilities and the content filter."""
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
        **({"extras": "any"} if card.accepts_any_extra else {}),
        "content_safety": safety(deployment),
    }


def model_body(deployment: Deployment, safety: Safety) -> dict[str, Any]:
    """Return one entry of `GET /models`, which OpenAI's clients list as well."""
    owner = deployment.card.provider
    entry = {"id": deployment.name, "object": "model", "created": CREATED, "owned_by": owner}
    return {**entry, **info_body(deployment, safety)}


def models_body(deployments: Sequence[Deployment], safety: Safety) -> dict[str, Any]:
    """Return the answer of `GET /models`."""
    return {"object": "list", "data": [model_body(deployment, safety) for deployment in deployments]}


def health_body(states: Mapping[str, str], condition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer of `GET /health`: the state of every deployment, and the condition of the registry.

    It needs no key: it names no container, and reports problems without addresses.
    """
    return {"status": "ok", "version": __version__, "deployments": dict(states), **condition}
