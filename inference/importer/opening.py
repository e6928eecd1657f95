"""Opens a staged deployment through the normal loader and asks it once, as a client would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inference.auth.authority import Authority
from inference.cards.card import Card, CardError
from inference.conformance.client import InProcessClient, RequestRefused
from inference.contracts import Route
from inference.errors import ApiError
from inference.importer.findings import Say
from inference.importer.refusal import ImporterError
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings

UNJUDGED: Mapping[str, Any] = {
    "content_safety_endpoint": "",
    "content_safety_classifier": "",
    "content_safety_blocklist_files": (),
}
"""Our own question is asked; nobody need judge it."""
PATIENCE = 3600
"""Seconds: whoever adds a large model waits for it; a served request does not."""


@dataclass(frozen=True, slots=True)
class OpenReport:
    """How long opening took, and the size of a vector where the model gives vectors."""

    seconds: float
    dimensions: int | None


def open_once(folder: Path, settings: Settings, say: Say) -> OpenReport:
    """Raises `ImporterError` with the loader's own sentence where it does not serve."""
    alone = replace(settings, models=(folder,), defaults=(), anonymous=True, **UNJUDGED)
    service = Service(alone, Registry(alone), Authority.from_settings(alone, loopback=True))
    try:
        if service.registry.broken:
            raise ImporterError(_refused(service.registry.broken[0].reason))
        return asyncio.run(_ask(service, say))
    finally:
        service.close()


async def _ask(service: Service, say: Say) -> OpenReport:
    deployment = service.registry.deployments[0]
    began = time.perf_counter()
    try:
        opened = await service.registry.open(deployment, patience=PATIENCE)
    except ApiError as error:
        raise ImporterError(_refused(_reason(error))) from None
    seconds = time.perf_counter() - began
    embedder = opened.text_embedder or opened.image_embedder
    card = deployment.card
    try:
        for route in sorted(card.routes):
            await InProcessClient(service, card, route).ask(**_short(card, route))
    except RequestRefused as refused:
        raise ImporterError(_refused(str(refused))) from None
    say(f"It opens in {seconds:.1f} s and answers {', '.join(f'/{route}' for route in sorted(card.routes))}.")
    return OpenReport(seconds, embedder.dimensions if embedder else None)


def _short(card: Card, route: Route) -> dict[str, Any]:
    """A question that the smallest context holds, and one token of an answer."""
    few = {"max_tokens": 1} if card.limits("max_tokens") else {}
    questions: Mapping[Route, dict[str, Any]] = {
        Route.CHAT: {"messages": [{"role": "user", "content": "Hi"}], **few},
        Route.COMPLETIONS: {"prompt": "Hi", **few},
        Route.EMBEDDINGS: {"input": ["Hi"]},
    }
    return questions.get(route, {})


def _reason(error: ApiError) -> str:
    """The loader's sentence without the name of what it loads."""
    cause = error.__cause__ or error.__context__
    return str(cause) if isinstance(cause, CardError) else error.message


def _refused(reason: str) -> str:
    return f"The files were found and described, but the model does not open, and nothing was added. {reason}"
