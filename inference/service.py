"""The journey of a request: one coroutine a route, each a straight list of stages.

    receive, who, which deployment, parse, extras, can it, open, lower, run, say, safe, answer

The stages up to `lower` are functions from values to values and may end in a refusal. The model's answer is
an async iterator that the reply stages wrap; closing it frees what the engine holds for it. Whether what came
in is safe is asked beside the stages from `open` on, and nothing is answered before it is known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from inference.api.answers import ChatRenderer, CompletionRenderer, Renderer
from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest, GenerationBody
from inference.api.embeddings import EmbeddingsBody, EmbeddingsRequest, ImageEmbeddingsRequest
from inference.api.http_types import HttpRequest, HttpResponse, json_response, refusal_response
from inference.api.paths import ApiStyle
from inference.api.validation import AnyRequest, Request
from inference.auth.authority import Authority
from inference.backends.loaded_models import LoadedModel
from inference.contracts import Embeddings, Events, ProxyRequest, Route, Usage
from inference.errors import ApiError, MethodNotAllowed, NotFound, ResourceNotFound
from inference.pipeline.admission import ResolvedRequest, receive, settle
from inference.pipeline.content_filter import ContentFilter
from inference.pipeline.dry_run import dry_run, is_dry_run
from inference.pipeline.generate import lower_chat, lower_text, speak
from inference.pipeline.image_embedding import embed_images, lower_images
from inference.pipeline.info import health_body, info_body, model_body, models_body
from inference.pipeline.openapi import document
from inference.pipeline.proxy import proxy_embeddings, proxy_events, proxy_request
from inference.pipeline.request_check import RequestCheck
from inference.pipeline.respond import AnswerFormat, ClientGone, streamed, unless_gone, whole
from inference.pipeline.text_embedding import embed_texts, lower_texts, vectors_body
from inference.registry.registry import Registry
from inference.registry.startup_phases import FIRST_RUN
from inference.settings import Settings
from inference.telemetry.request_log import RequestTrace

log = logging.getLogger(__name__)

Result = TypeVar("Result")

SHORT = 4_000
"""Characters that are tokenised on the event loop: some 0.2 ms, where a thread takes 0.1 ms to be asked."""

FEW = 32_000
"""Numbers of vectors that are written on the event loop: a millisecond."""

Journey = Callable[[HttpRequest, RequestTrace], Awaitable[HttpResponse]]


class Service:
    """Answers calls; made once a process."""

    def __init__(self, settings: Settings, registry: Registry, authority: Authority) -> None:
        self.settings = settings
        self.registry = registry
        self.authority = authority
        self.guard = ContentFilter(settings, registry)
        self._journeys: Mapping[Route, tuple[str, Journey]] = {
            Route.INFO: ("GET", self.info),
            Route.MODELS: ("GET", self.models),
            Route.HEALTH: ("GET", self.health),
            Route.OPENAPI: ("GET", self.openapi),
            Route.CHAT: ("POST", self.chat),
            Route.COMPLETIONS: ("POST", self.completions),
            Route.EMBEDDINGS: ("POST", self.embeddings),
            Route.IMAGE_EMBEDDINGS: ("POST", self.image_embeddings),
        }

    async def aclose(self) -> None:
        """Closes every open model, and the connections to who is asked elsewhere."""
        await self.guard.aclose()
        await self.registry.aclose()

    def close(self) -> None:
        """Closes every open model."""
        self.registry.close()

    async def answer(self, call: HttpRequest) -> HttpResponse:
        """Answers anything: what a stage refuses is rendered here, and here alone."""
        trace = RequestTrace.start(call.method, call.path, call.headers)
        try:
            answer = await self._journey(call)(call, trace)
        except ApiError as error:
            trace.outcome = error.code
            answer = refusal_response(error, call.target.dialect)
        except ClientGone:
            trace.outcome = "client_gone"
            answer = HttpResponse(499, b"")
        except Exception:
            log.exception("A request failed (id=%s)", trace.id)
            trace.outcome = ApiError.code
            answer = refusal_response(ApiError("The request could not be served."), call.target.dialect)
        if isinstance(answer.body, bytes):
            trace.end(answer.status)
        return replace(answer, headers={**trace.headers, **answer.headers})

    def _journey(self, call: HttpRequest) -> Journey:
        """Raises `NotFound` and `MethodNotAllowed`."""
        route, openai = call.target.route, call.target.dialect is ApiStyle.OPENAI
        if route is None:
            raise NotFound(f"Not Found: there is no {call.path}.")
        if openai and route in (Route.INFO, Route.IMAGE_EMBEDDINGS, Route.HEALTH):
            raise ResourceNotFound("Resource not found")
        method, journey = self._journeys[route]
        if call.method != method:
            raise MethodNotAllowed(
                f"{call.path} takes {method}, not {call.method}.", headers={"Allow": method}
            )
        return self._rehearse if method == "POST" and is_dry_run(call.headers) else journey

    async def info(self, call: HttpRequest, trace: RequestTrace) -> HttpResponse:
        await self.authority.admit(call.headers)
        asked = call.query.get("model")
        deployment = self.registry.choose(Route.INFO, fixed=call.fixed_deployment, asked=asked)
        trace.deployment = deployment.name
        return json_response(
            info_body(deployment, self.guard.describe), {"x-ms-served-model": deployment.name}
        )

    async def models(self, call: HttpRequest, _: RequestTrace) -> HttpResponse:
        await self.authority.admit(call.headers)
        if call.target.item is not None:
            return json_response(model_body(self.registry.get(call.target.item), self.guard.describe))
        return json_response(models_body(self.registry.deployments, self.guard.describe))

    async def health(self, _call: HttpRequest, _trace: RequestTrace) -> HttpResponse:
        return json_response(health_body(self.registry))

    async def openapi(self, _call: HttpRequest, _trace: RequestTrace) -> HttpResponse:
        return json_response(document())

    async def chat(self, call: HttpRequest, trace: RequestTrace) -> HttpResponse:
        request, order = await self._order(ChatRequest, call, trace)
        async with self.guard.inquiry(request, order) as inquiry:
            model = await inquiry.beside(self._open(order, trace))
            streams = await self._speak(lower_chat, request, order, model, inquiry, trace)
            return await self._say(
                streams, request, order, inquiry, ChatRenderer(scored=bool(request.logprobs)), call, trace
            )

    async def completions(self, call: HttpRequest, trace: RequestTrace) -> HttpResponse:
        request, order = await self._order(CompletionRequest, call, trace)
        async with self.guard.inquiry(request, order) as inquiry:
            model = await inquiry.beside(self._open(order, trace))
            streams = await self._speak(lower_text, request, order, model, inquiry, trace)
            return await self._say(
                streams,
                request,
                order,
                inquiry,
                CompletionRenderer(scored=request.logprobs is not None),
                call,
                trace,
            )

    async def embeddings(self, call: HttpRequest, trace: RequestTrace) -> HttpResponse:
        request, order = await self._order(EmbeddingsRequest, call, trace)
        async with self.guard.inquiry(request, order) as inquiry:
            model = await inquiry.beside(self._open(order, trace))
            if model.upstream is not None:
                work = inquiry.before(proxy_embeddings(model.upstream, self._relayed(request, order, trace)))
            else:
                inputs = await self._lower(order, lower_texts, request, order.card, model)
                work = inquiry.after(embed_texts(inputs, model))
            return await self._embedded(work, inquiry, request, order, call, trace)

    async def image_embeddings(self, call: HttpRequest, trace: RequestTrace) -> HttpResponse:
        request, order = await self._order(ImageEmbeddingsRequest, call, trace)
        model = await self._open(order, trace)
        seen = await unless_gone(lower_images(request, order.card, model, self.settings), call.gone)
        async with self.guard.inquiry(request, order, seen.pictures) as inquiry:
            if model.upstream is not None:
                work = inquiry.before(proxy_embeddings(model.upstream, self._relayed(request, order, trace)))
            else:
                work = inquiry.after(embed_images(seen, model))
            return await self._embedded(work, inquiry, request, order, call, trace)

    async def _order(
        self, shape: type[AnyRequest], call: HttpRequest, trace: RequestTrace
    ) -> tuple[AnyRequest, ResolvedRequest]:
        draft = await receive(call, trace, self.settings, self.registry, self.authority)
        return settle(shape, draft, trace)

    async def _rehearse(self, call: HttpRequest, trace: RequestTrace) -> HttpResponse:
        draft = await receive(call, trace, self.settings, self.registry, self.authority)
        return json_response(await dry_run(draft, trace, self.settings, self.registry))

    async def _lower(self, order: ResolvedRequest, lower: Callable[..., Result], *arguments: Any) -> Result:
        """Runs a lowering in a thread, unless it is over before a thread would have begun."""
        if order.characters <= SHORT and not order.constrained:
            return lower(*arguments)
        return await asyncio.to_thread(lower, *arguments)

    async def _open(self, order: ResolvedRequest, trace: RequestTrace) -> LoadedModel:
        """The running model, which stays open until the request is over."""
        lease = await self.registry.lease(order.deployment, patience=self.settings.load_seconds)
        trace.held.append(lease.release)
        return lease.opened

    def _relayed(self, request: Request, order: ResolvedRequest, trace: RequestTrace) -> ProxyRequest:
        return proxy_request(request, order, self.settings, trace.onward)

    async def _speak(
        self,
        lower: Callable[..., Any],
        request: GenerationBody,
        order: ResolvedRequest,
        model: LoadedModel,
        inquiry: RequestCheck,
        trace: RequestTrace,
    ) -> list[Events]:
        """The events of every choice: of the model here, or of the endpoint that is asked instead."""
        if model.upstream is not None:
            # A request that is refused must not have left this house.
            later = partial(inquiry.guard, eager=False) if inquiry.guards else None
            return proxy_events(model.upstream, self._relayed(request, order, trace), order, later)
        asked = await self._lower(order, lower, request, order, model, self.settings)
        return speak(request, order, model, asked, inquiry.guard if inquiry.guards else None)

    async def _say(
        self,
        streams: Sequence[Events],
        request: GenerationBody,
        order: ResolvedRequest,
        inquiry: RequestCheck,
        answers: Renderer,
        call: HttpRequest,
        trace: RequestTrace,
    ) -> HttpResponse:
        streams = [self.registry.timeline.to_first(order.deployment.name, streams[0]), *streams[1:]]
        manner = AnswerFormat.of(request, order, answers, inquiry.notes, inquiry.passed)
        if request.stream:
            answer = await streamed(streams, manner, trace, self.settings.heartbeat_seconds)
        else:
            answer = await whole(streams, manner, trace, call.gone)
        return replace(answer, headers={**answer.headers, **order.headers})

    async def _embedded(
        self,
        work: Coroutine[Any, Any, Embeddings],
        inquiry: RequestCheck,
        request: EmbeddingsBody,
        order: ResolvedRequest,
        call: HttpRequest,
        trace: RequestTrace,
    ) -> HttpResponse:
        with self.registry.timeline.phase(order.deployment.name, FIRST_RUN):
            embedded = await unless_gone(work, call.gone)
        trace.count(Usage(prompt_tokens=embedded.tokens))
        if embedded.vectors.size <= FEW:
            body = vectors_body(embedded, request, order)
        else:
            body = await asyncio.to_thread(vectors_body, embedded, request, order)
        return json_response({**body, **inquiry.notes()}, order.headers)
