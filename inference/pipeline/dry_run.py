"""`x-dry-run: true`: what would become of a request, without running the model.

A rehearsal goes as far as the prompt's tokens and tells what it found: the parameters that would be honoured,
the names that would be dropped, everything that would be refused, the tokens of the prompt and the room that
the context leaves. It answers 200 also where the request would be refused, because that is its news; only
what leaves nothing to rehearse (no key, no JSON, no such deployment) is refused itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest
from inference.api.embeddings import EmbeddingsRequest, ImageEmbeddingsRequest
from inference.api.error_body import body_of
from inference.api.parameters import BY_NAME, ParameterPlace
from inference.api.routes import SHAPES
from inference.api.validation import Request, abridged
from inference.backends.loaded_models import LoadedModel
from inference.errors import ApiError, ExtraParametersNotAllowed, InvalidInput, RequestTooLarge, Unprocessable
from inference.pipeline.admission import AdmittedRequest, ResolvedRequest, settle
from inference.pipeline.generate import lower_chat, lower_text
from inference.pipeline.image_embedding import count_of, lower_images
from inference.pipeline.proxy import proxy_request
from inference.pipeline.text_embedding import lower_texts
from inference.prompt.lowering import draws
from inference.registry.registry import Registry
from inference.settings import Settings
from inference.telemetry.request_log import RequestTrace

HEADER = "x-dry-run"
UNJUDGED = (ExtraParametersNotAllowed, InvalidInput)
"""Refusals that come before anybody asked whether the deployment can honour the rest."""
NEWS = (Unprocessable, ExtraParametersNotAllowed, RequestTooLarge)
"""Refusals that a rehearsal reports instead of being refused with them."""


def is_dry_run(headers: Mapping[str, str]) -> bool:
    """Whether the request is to be rehearsed only."""
    return headers.get(HEADER, "").strip().lower() in ("true", "1", "yes")


async def dry_run(
    draft: AdmittedRequest, trace: RequestTrace, settings: Settings, registry: Registry
) -> dict[str, Any]:
    """What would become of a draft. Raises what opening the model raises."""
    report: dict[str, Any] = {"object": "dry_run", "model": draft.deployment.name}
    try:
        request, order = settle(SHAPES[draft.route], draft, trace)
        model = await registry.open(draft.deployment, patience=settings.load_seconds)
        if model.upstream is not None:
            room = _elsewhere(request, order, settings)
        else:
            room = await _room(request, order, model, settings)
    except NEWS as error:
        return report | _verdict(draft, (), error)
    return report | _verdict(draft, order.dropped, None) | room


def _verdict(draft: AdmittedRequest, dropped: tuple[str, ...], error: ApiError | None) -> dict[str, Any]:
    refused = body_of(error)["error"].get("details", []) if error else []
    names = {offender.loc[1] for offender in error.offenders if len(offender.loc) > 1} if error else set()
    honoured = {
        name: abridged(value)
        for name, value in draft.body.items()
        if not isinstance(error, UNJUDGED) and name not in (*names, *dropped) and _is_parameter(name)
    }
    return {
        "status": error.status if error else 200,
        "code": error.code if error else None,
        "honoured": honoured,
        "dropped": list(dropped),
        "refused": refused,
    }


def _is_parameter(name: str) -> bool:
    return name in BY_NAME and BY_NAME[name].place is not ParameterPlace.ENVELOPE


def _elsewhere(request: Request, order: ResolvedRequest, settings: Settings) -> dict[str, Any]:
    """Only the endpoint can count tokens, and it is not asked. Raises what relaying raises."""
    proxy_request(request, order, settings, {})
    return {} if order.card.context is None else {"context": order.card.context}


async def _room(
    request: Request, order: ResolvedRequest, model: LoadedModel, settings: Settings
) -> dict[str, Any]:
    """The tokens of each prompt or input, and what the context leaves. Raises what lowering raises.

    Pictures are fetched, because without them nobody knows whether they would be refused.
    """
    if isinstance(request, ImageEmbeddingsRequest):
        seen = await lower_images(request, order.card, model, settings)
        return {"prompt_tokens": count_of(seen, model)}
    return await asyncio.to_thread(_text_room, request, order, model, settings)


def _text_room(
    request: Request, order: ResolvedRequest, model: LoadedModel, settings: Settings
) -> dict[str, Any]:
    match request:
        case ChatRequest() | CompletionRequest():
            lower = cast(
                Callable[..., list[Any]], lower_chat if isinstance(request, ChatRequest) else lower_text
            )
            asked = [choice.asked for choice in lower(request, order, model, settings)]
            assert model.generator is not None
            context = model.generator.context
            tokens = [len(one.prompt) for one in asked][:: draws(request)]
            most = asked[0].max_tokens
            room = [context - count for count in tokens]
            return {"prompt_tokens": tokens, "context": context, "room": room, "max_tokens": most}
        case EmbeddingsRequest():
            inputs = lower_texts(request, order.card, model)
            assert model.text_embedder is not None
            return {"prompt_tokens": [len(ids) for ids in inputs.ids], "context": model.text_embedder.context}
    return {}
