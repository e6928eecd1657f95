"""The journeys of `/responses` and of the responses that were kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from inference.api.http_types import HttpResponse, json_response
from inference.api.response_events import ResponseBuilder
from inference.api.response_objects import response_base
from inference.api.responses import ResponsesRequest
from inference.auth.authority import Authenticator
from inference.backends.loaded_models import LoadedModel, RemoteDeployment
from inference.contracts import Events, Route
from inference.errors import InvalidInput, Offender, ParameterNotSupported
from inference.pipeline.admission import AdmittedRequest, ResolvedRequest, admit, off_loop, resolve_request
from inference.pipeline.content_filter import ContentFilter
from inference.pipeline.dry_run import dry_run
from inference.pipeline.exchange import Deployments, Exchange, Journey
from inference.pipeline.planner import Planner
from inference.pipeline.reasoning_seal import ReasoningSeal
from inference.pipeline.respond import StreamForm
from inference.pipeline.response_answer import ResponseForm
from inference.pipeline.response_errors import NotCancellable, ResponseNotFound
from inference.pipeline.response_input import input_list
from inference.pipeline.response_lowering import LoweredResponse, lower_response
from inference.pipeline.response_places import relocated, renamed
from inference.pipeline.response_turn import Turn, open_turn
from inference.pipeline.truncation import Generation, plan_within_context
from inference.response_store.ids import is_response_id
from inference.response_store.opening import expiry
from inference.response_store.record import StoredResponse
from inference.response_store.store import ResponseStore
from inference.settings import Settings


class Stages(Protocol):
    """The stages of the service that every route that generates shares."""

    settings: Settings
    authority: Authenticator
    content_filter: ContentFilter
    planner: Planner

    @property
    def registry(self) -> Deployments:
        """The deployments of this endpoint."""
        ...

    async def open(self, resolved: ResolvedRequest, exchange: Exchange) -> LoadedModel:
        """Return the running model, which stays open until the exchange is over."""
        ...

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
        ...


class ResponsesJourney:
    """The routes under `/responses`; one a process."""

    def __init__(self, stages: Stages, store: ResponseStore | None) -> None:
        """Take the store of responses; None where nothing is kept."""
        self._stages = stages
        self._store = store
        self._seal = ReasoningSeal(stages.settings.responses_key)

    def journeys(self) -> Mapping[Route, Journey]:
        """Return the journeys of the routes."""
        return {
            Route.RESPONSES: Journey(self.create, self.run_dry),
            Route.INPUT_TOKENS: Journey(self.count_input, self.run_dry),
            Route.RESPONSE: Journey(self.one),
            Route.RESPONSE_INPUT: Journey(self.input_items),
            Route.RESPONSE_CANCEL: Journey(self.cancel),
        }

    async def create(self, exchange: Exchange) -> HttpResponse:
        """Answer `POST /responses`."""
        admitted = await self._admit(exchange)
        request, resolved, turn = await self._turn(admitted, exchange)
        lowered = await self._lowered(request, resolved, turn)
        chat, stages = lowered.chat, self._stages
        with relocated(lowered.places):
            async with stages.content_filter.check(chat, lowered.resolved) as check:
                model = await check.alongside(stages.open(lowered.resolved, exchange))
                plan, resolved = await self._plan(request, lowered, model, exchange)
                builder = self._builder(request, admitted.body, resolved, turn)
                form = ResponseForm(builder, self._keeper(turn), check, lowered.places)
                events = plan.events(check)
                return await stages.respond(events, resolved, form, exchange, streamed=request.streamed)

    async def count_input(self, exchange: Exchange) -> HttpResponse:
        """Answer `POST /responses/input_tokens`: the tokens that the answer's usage would have."""
        request, resolved, turn = await self._turn(await self._admit(exchange), exchange)
        lowered = await self._lowered(request, resolved, turn)
        with relocated(lowered.places):
            model = await self._stages.open(lowered.resolved, exchange)
            if isinstance(model, RemoteDeployment):
                name = resolved.deployment.name
                message = f"{name} is at another endpoint, which counts tokens with its answers only"
                raise ParameterNotSupported([Offender(("body", "model"), name, message)])
            plan, resolved = await self._plan(request, lowered, model, exchange)
        tokens = plan.room()["prompt_tokens"][0]
        body = {"object": "response.input_tokens", "input_tokens": tokens}
        return json_response(body, resolved.headers)

    async def run_dry(self, exchange: Exchange) -> HttpResponse:
        """Answer the dry run of a response."""
        admitted = await self._admit(exchange)

        async def planned() -> tuple[ResolvedRequest, Generation]:
            request, resolved, turn = await self._turn(admitted, exchange)
            lowered = await self._lowered(request, resolved, turn)
            with relocated(lowered.places):
                model = await self._stages.open(lowered.resolved, exchange)
                plan, resolved = await self._plan(request, lowered, model, exchange)
            return resolved, replace(plan, unheld=())

        return json_response(await dry_run(admitted, planned))

    async def one(self, exchange: Exchange) -> HttpResponse:
        """Answer `GET` and `DELETE /responses/{response_id}`."""
        response_id, owner = await self._named(exchange)
        if exchange.http.method == "DELETE":
            if self._store is None or not await self._store.delete(response_id, owner):
                raise ResponseNotFound(response_id)
            return json_response({"id": response_id, "object": "response", "deleted": True})
        if exchange.http.query.get("stream", "").lower() == "true":
            message = "stream: only responses that run in the background are replayed, and none does here"
            raise InvalidInput([Offender(("query", "stream"), "true", message, "unsupported_value")])
        return json_response((await self._record(response_id, owner)).response)

    async def input_items(self, exchange: Exchange) -> HttpResponse:
        """Answer `GET /responses/{response_id}/input_items`."""
        record = await self._record(*await self._named(exchange))
        return json_response(input_list([*record.context, *record.items], exchange.http.query))

    async def cancel(self, exchange: Exchange) -> HttpResponse:
        """Answer `POST /responses/{response_id}/cancel`: nothing runs in the background."""
        await self._record(*await self._named(exchange))
        raise NotCancellable

    async def aclose(self) -> None:
        """Close the store."""
        if self._store is not None:
            await self._store.aclose()

    async def _admit(self, exchange: Exchange) -> AdmittedRequest:
        stages = self._stages
        with relocated({}):
            admitted = await admit(exchange, stages.settings, stages.registry, stages.authority)
        return replace(admitted, route=Route.RESPONSES)

    async def _turn(
        self, admitted: AdmittedRequest, exchange: Exchange
    ) -> tuple[ResponsesRequest, ResolvedRequest, Turn]:
        """Return the typed request, and the turn with what it continues: read before anything runs."""
        request, resolved = await off_loop(
            admitted.size, resolve_request, ResponsesRequest, admitted, exchange.trace
        )
        return request, resolved, await open_turn(request, resolved.body, admitted.owner, self._store)

    async def _lowered(
        self, request: ResponsesRequest, resolved: ResolvedRequest, turn: Turn
    ) -> LoweredResponse:
        resolved = replace(resolved, size=resolved.size + turn.further_characters)
        return await off_loop(
            resolved.size,
            lower_response,
            request,
            resolved,
            turn.context,
            turn.located_items,
            self._seal.open,
        )

    async def _plan(
        self,
        request: ResponsesRequest,
        lowered: LoweredResponse,
        model: LoadedModel,
        exchange: Exchange,
    ) -> tuple[Generation, ResolvedRequest]:
        """Return the plan of the answer, and the request with what the plan does not hold."""

        async def lower(one: LoweredResponse) -> Generation:
            return await self._stages.planner.chat(one.chat, one.resolved, model, exchange)

        shortens = request.truncation == "auto"
        plan = await (plan_within_context(lowered, lower) if shortens else lower(lowered))
        unheld = [*map(renamed, plan.unheld)]
        if shortens and isinstance(model, RemoteDeployment):
            unheld.append("truncation")
        resolved = lowered.resolved.also_without(tuple(unheld))
        exchange.trace.dropped = resolved.dropped
        return plan, resolved

    def _builder(
        self, request: ResponsesRequest, body: Mapping[str, Any], resolved: ResolvedRequest, turn: Turn
    ) -> ResponseBuilder:
        base = response_base(
            request,
            body,
            response_id=turn.id,
            model=resolved.deployment.name,
            created=int(turn.created),
            store=turn.kept,
        )
        seal = self._seal.seal if request.wants_sealed_reasoning else None
        return ResponseBuilder(base, turn.ids.new, scored=request.scored, seal=seal)

    def _keeper(self, turn: Turn) -> Callable[[Mapping[str, Any]], Awaitable[None]]:
        async def keep(response: Mapping[str, Any]) -> None:
            await turn.keep(response, expiry(turn.created, self._stages.settings))

        return keep

    async def _named(self, exchange: Exchange) -> tuple[str, str]:
        """Return the id that the path names, and the caller. Raises `ResponseNotFound` for what is no id."""
        owner = await self._stages.authority.authenticate(exchange.http.headers)
        response_id = exchange.http.target.item or ""
        if not is_response_id(response_id):
            raise ResponseNotFound(response_id)
        return response_id, owner

    async def _record(self, response_id: str, owner: str) -> StoredResponse:
        record = await self._store.get(response_id, owner) if self._store is not None else None
        if record is None:
            raise ResponseNotFound(response_id)
        return record
