"""The journey of a request: one coroutine a route, each a straight list of stages.

    receive, who, which deployment, extra parameters, validation, capabilities,
    open, lower, run, parse, filter, respond

The stages up to `lower` are functions from values to values and may end in a refusal. The model's answer is
an async iterator that the output stages wrap; closing it frees the memory that the engine keeps for it. The
content filter judges the request beside the stages from `open` on; nothing is answered before its verdict.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

from inference.api.answers import ChatRenderer, CompletionRenderer
from inference.api.chat import ChatRequest
from inference.api.classify import ClassifyRequest, EmbedSparseRequest
from inference.api.completions import CompletionRequest
from inference.api.cors import options_response
from inference.api.embeddings import EmbeddingsBody, EmbeddingsRequest, ImageEmbeddingsRequest
from inference.api.http_types import (
    ClientGone,
    HttpRequest,
    HttpResponse,
    json_response,
    refusal_response,
    require_route,
)
from inference.api.rerank import RerankRequest
from inference.api.validation import AnyRequest
from inference.auth.authority import Authenticator
from inference.backends.loaded_models import LoadedModel
from inference.contracts import Embeddings, Events, Route, Usage
from inference.errors import ApiError
from inference.pipeline.admission import ResolvedRequest, admit, off_loop, resolve_request
from inference.pipeline.content_filter import ContentFilter
from inference.pipeline.dry_run import DRY_RUN_HEADER, Plan, dry_run, is_dry_run
from inference.pipeline.exchange import Answer, Exchange, Journey
from inference.pipeline.image_embedding import ImageInputs, load_images
from inference.pipeline.info import health_body, info_body, model_body, models_body
from inference.pipeline.openapi import document
from inference.pipeline.planner import Planner
from inference.pipeline.proxy import RemoteEmbedding
from inference.pipeline.request_check import RequestCheck
from inference.pipeline.respond import AnswerFormat, StreamForm
from inference.pipeline.respond import streamed as stream
from inference.pipeline.response_journey import ResponsesJourney
from inference.pipeline.shutdown import Shutdown
from inference.pipeline.text_embedding import TextInputs, write_vectors
from inference.pipeline.text_scoring import ScoringPlan, annotated
from inference.registry.registry import Registry
from inference.registry.startup_phases import FIRST_RUN
from inference.response_store.opening import describe_store, open_store
from inference.settings import Settings
from inference.telemetry.request_log import RequestTrace

log = logging.getLogger(__name__)
Lowered = TypeVar("Lowered", bound=Plan, covariant=True)
Lowering: TypeAlias = Callable[[AnyRequest, ResolvedRequest, LoadedModel, Exchange], Awaitable[Lowered]]
"""Lowers a typed request for the model that answers it."""


class Service:
    """Answers requests; made once a process."""

    def __init__(self, settings: Settings, registry: Registry, authority: Authenticator) -> None:
        self.settings = settings
        self.registry = registry
        self.authority = authority
        self.content_filter = ContentFilter(settings, registry)
        self.planner = Planner(settings)
        self.shutdown = Shutdown(settings.shutdown_seconds)
        self.store = describe_store(settings)
        self.responses = ResponsesJourney(self, open_store(settings))
        self._journeys = self.journeys()
        self._warm: set[str] = set()
        """Deployments whose first run was timed, or is being."""

    def journeys(self) -> Mapping[Route, Journey]:
        """Return the journey of every route of the table."""
        dry, plan = self.dry, self.planner
        return {
            Route.INFO: Journey(self.info),
            Route.MODELS: Journey(self.models),
            Route.HEALTH: Journey(self.health),
            Route.OPENAPI: Journey(self.openapi),
            Route.CHAT: Journey(self.chat, dry(ChatRequest, plan.chat)),
            **self.responses.journeys(),
            Route.COMPLETIONS: Journey(self.completions, dry(CompletionRequest, plan.completion)),
            Route.EMBEDDINGS: Journey(self.embeddings, dry(EmbeddingsRequest, plan.texts)),
            Route.IMAGE_EMBEDDINGS: Journey(self.image_embeddings, dry(ImageEmbeddingsRequest, plan.images)),
            Route.RERANK: self.scores(RerankRequest, plan.ranking),
            Route.CLASSIFY: self.scores(ClassifyRequest, plan.classification),
            Route.EMBED_SPARSE: self.scores(EmbedSparseRequest, plan.sparse),
        }

    async def aclose(self) -> None:
        """Close every open model and connection."""
        await self.content_filter.aclose()
        await self.responses.aclose()
        await self.registry.aclose()

    def close(self) -> None:
        """Close every open model."""
        self.registry.close()

    async def answer(self, http: HttpRequest) -> HttpResponse:
        """Answer any request; the refusals of all stages are rendered here, and here alone.

        If the client hangs up meanwhile, the request is cancelled, whatever it waits for.
        """
        exchange = Exchange(http, RequestTrace.start(http.method, http.path, http.headers))
        trace = exchange.trace
        try:
            response = await exchange.unless_gone(self._run(exchange))
        except ApiError as error:
            trace.outcome = error.code
            response = refusal_response(error, http.target.style)
        except ClientGone:
            trace.outcome = "client_gone"
            await exchange.abandon()
            response = HttpResponse(499, b"")
        except Exception:
            log.exception("A request failed (id=%s)", trace.id)
            trace.outcome = ApiError.code
            response = refusal_response(ApiError("The request could not be served."), http.target.style)
        except BaseException:
            await exchange.abandon()
            raise
        if isinstance(response.body, bytes):
            exchange.end(response.status)
        return exchange.with_headers(response, self.settings.cors_origins)

    async def _run(self, exchange: Exchange) -> HttpResponse:
        async with self.shutdown.part() as exchange.part:
            return await self._journey(exchange.http)(exchange)

    def _journey(self, http: HttpRequest) -> Answer:
        """Return the coroutine of a request. Raises `NotFound` or `MethodNotAllowed`."""
        route = require_route(http)
        if http.method == "OPTIONS":
            return self.options
        journey = self._journeys[route]
        if journey.dry_run is not None and DRY_RUN_HEADER in http.headers and is_dry_run(http.headers):
            return journey.dry_run
        return journey.answer

    async def options(self, exchange: Exchange) -> HttpResponse:
        """Answer `OPTIONS` of any route, preflights included; no key is needed."""
        return options_response(exchange.http, self.settings.cors_origins)

    async def info(self, exchange: Exchange) -> HttpResponse:
        """Answer `GET /info`."""
        http = exchange.http
        await self.authority.authenticate(http.headers)
        fixed, model = http.fixed_deployment, http.query.get("model")
        deployment = self.registry.choose(Route.INFO, fixed=fixed, model=model)
        exchange.trace.deployment, aliases = deployment.name, self.registry.aliases(deployment)
        body = info_body(deployment, self.content_filter.describe, aliases, self.store)
        return json_response(body, {"x-ms-served-model": deployment.name})

    async def models(self, exchange: Exchange) -> HttpResponse:
        """Answer `GET /models` and `GET /models/{name}`."""
        await self.authority.authenticate(exchange.http.headers)
        describe, aliases = self.content_filter.describe, self.registry.aliases
        if (item := exchange.http.target.item) is not None:
            deployment, name = self.registry.find(item)
            return json_response(model_body(name, deployment, describe, aliases(deployment), self.store))
        return json_response(models_body(self.registry.deployments, describe, aliases, self.store))

    async def health(self, _: Exchange) -> HttpResponse:
        """Answer `GET /health`."""
        health = {**self.registry.health(), "responses": self.store}
        return json_response(health_body(self.registry.states(), health))

    async def openapi(self, _: Exchange) -> HttpResponse:
        """Answer `GET /openapi.json`."""
        return json_response(document())

    async def chat(self, exchange: Exchange) -> HttpResponse:
        """Answer `POST /chat/completions`."""
        request, resolved = await self._resolve(ChatRequest, exchange)
        async with self.content_filter.check(request, resolved) as check:
            model = await check.alongside(self.open(resolved, exchange))
            plan = await self.planner.chat(request, resolved, model, exchange)
            resolved = resolved.also_without(plan.unheld)
            exchange.trace.dropped = resolved.dropped
            renderer = ChatRenderer(scored=bool(request.logprobs))
            form = AnswerFormat.of(request, resolved, renderer, check)
            return await self.respond(plan.events(check), resolved, form, exchange, streamed=request.streamed)

    async def completions(self, exchange: Exchange) -> HttpResponse:
        """Answer `POST /completions`."""
        request, resolved = await self._resolve(CompletionRequest, exchange)
        async with self.content_filter.check(request, resolved) as check:
            model = await check.alongside(self.open(resolved, exchange))
            plan = await self.planner.completion(request, resolved, model, exchange)
            renderer = CompletionRenderer(scored=request.logprobs is not None)
            form = AnswerFormat.of(request, resolved, renderer, check)
            return await self.respond(plan.events(check), resolved, form, exchange, streamed=request.streamed)

    async def embeddings(self, exchange: Exchange) -> HttpResponse:
        """Answer `POST /embeddings`."""
        request, resolved = await self._resolve(EmbeddingsRequest, exchange)
        async with self.content_filter.check(request, resolved) as check:
            model = await check.alongside(self.open(resolved, exchange))
            plan = await self.planner.texts(request, resolved, model, exchange)
            return await self._respond_vectors(plan, request, resolved, check, exchange)

    async def image_embeddings(self, exchange: Exchange) -> HttpResponse:
        """Answer `POST /images/embeddings`. The content filter judges the images that the model sees."""
        request, resolved = await self._resolve(ImageEmbeddingsRequest, exchange)
        model = await self.open(resolved, exchange)
        plan = await self.planner.images(request, resolved, model, exchange)
        images = plan.images if isinstance(plan, ImageInputs) else await load_images(request, self.settings)
        async with self.content_filter.check(request, resolved, images) as check:
            return await self._respond_vectors(plan, request, resolved, check, exchange)

    def scores(self, request_type: type[AnyRequest], plan: Lowering[AnyRequest, ScoringPlan]) -> Journey:
        """Return the journey of a route that scores texts."""

        async def answer(exchange: Exchange) -> HttpResponse:
            request, resolved = await self._resolve(request_type, exchange)
            async with self.content_filter.check(request, resolved) as check:
                model = await check.alongside(self.open(resolved, exchange))
                planned = await plan(request, resolved, model, exchange)
                exchange.part.run()
                with self.registry.startup_phases.phase(resolved.deployment.name, FIRST_RUN):
                    body, tokens = await planned.answer(check)
                exchange.trace.record_usage(Usage(prompt_tokens=tokens))
                return json_response(annotated(body, check.annotations()), resolved.headers)

        return Journey(answer, self.dry(request_type, plan))

    def dry(self, request_type: type[AnyRequest], plan: Lowering[AnyRequest, Plan]) -> Answer:
        """Return the coroutine that answers the dry run of a route."""

        async def answer(exchange: Exchange) -> HttpResponse:
            admitted = await admit(exchange, self.settings, self.registry, self.authority)

            async def planned() -> tuple[ResolvedRequest, Plan]:
                request, resolved = await off_loop(
                    admitted.size, resolve_request, request_type, admitted, exchange.trace
                )
                model = await self.open(resolved, exchange)
                return resolved, await plan(request, resolved, model, exchange)

            return json_response(await dry_run(admitted, planned))

        return answer

    async def _resolve(
        self, request_type: type[AnyRequest], exchange: Exchange
    ) -> tuple[AnyRequest, ResolvedRequest]:
        admitted = await admit(exchange, self.settings, self.registry, self.authority)
        return await off_loop(admitted.size, resolve_request, request_type, admitted, exchange.trace)

    async def open(self, resolved: ResolvedRequest, exchange: Exchange) -> LoadedModel:
        """Return the running model, which stays open until the exchange is over."""
        lease = await self.registry.lease(resolved.deployment, patience=self.settings.load_seconds)
        return exchange.resources.enter_context(lease)

    async def respond(
        self,
        streams: Sequence[Events],
        resolved: ResolvedRequest,
        form: StreamForm,
        exchange: Exchange,
        *,
        streamed: bool,
    ) -> HttpResponse:
        """Return the answer, whole or as a stream."""
        name, events = resolved.deployment.name, list(streams)
        if name not in self._warm:
            self._warm.add(name)
            events[0] = self.registry.startup_phases.time_first_event(name, events[0])
        events = [self.shutdown.stream(one, exchange.part) for one in events]
        if streamed:
            response = await stream(events, form, exchange, self.settings.heartbeat_seconds)
        else:
            response = await form.whole(events, exchange)
        return replace(response, headers={**response.headers, **resolved.headers})

    async def _respond_vectors(
        self,
        plan: TextInputs | ImageInputs | RemoteEmbedding,
        request: EmbeddingsBody,
        resolved: ResolvedRequest,
        check: RequestCheck,
        exchange: Exchange,
    ) -> HttpResponse:
        exchange.part.run()
        with self.registry.startup_phases.phase(resolved.deployment.name, FIRST_RUN):
            embedded: Embeddings = await plan.embed(check)
        exchange.trace.record_usage(Usage(prompt_tokens=embedded.tokens))
        body = await write_vectors(embedded, request, resolved)
        return json_response({**body, **check.annotations()}, resolved.headers)
