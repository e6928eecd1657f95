"""The table of routes agrees with the journeys, the triggers, the request types and the schemas."""

from __future__ import annotations

import json

import pytest

import function_app
from inference.api.parameters import BY_NAME, ParameterPlace
from inference.api.response_schemas import RESPONSES
from inference.api.routes import ROUTES, ROWS, RouteRow, routes_of
from inference.auth.authority import Authenticator
from inference.contracts import ApiStyle, Route, Task
from inference.pipeline.exchange import Journey
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings

WITH_BODY = [row for row in ROWS if row.request is not None]
EVERYTHING_ELSE = "{*path}"
"""The trigger of the other base paths, and of routes without a trigger of their own."""


def name_of(row: RouteRow) -> str:
    return row.route.replace("/", "-")


@pytest.fixture(scope="module")
def journeys(tmp_path_factory: pytest.TempPathFactory) -> dict[Route, Journey]:
    settings = Settings(models=(tmp_path_factory.mktemp("none"),))
    service = Service(settings, Registry(settings), Authenticator.from_settings(settings, loopback=True))
    try:
        return dict(service.journeys())
    finally:
        service.close()


@pytest.fixture(scope="module")
def triggers() -> dict[str, list[str]]:
    """Return the methods of each trigger of the Functions app, by its route."""
    bindings = [json.loads(one.get_raw_bindings()[0]) for one in function_app.app.get_functions()]
    return {binding["route"]: binding["methods"] for binding in bindings}


def test_every_route_has_one_row() -> None:
    assert [row.route for row in ROWS] == [
        Route.INFO,
        Route.MODELS,
        Route.HEALTH,
        Route.OPENAPI,
        Route.CHAT,
        Route.RESPONSES,
        Route.INPUT_TOKENS,
        Route.RESPONSE,
        Route.RESPONSE_INPUT,
        Route.RESPONSE_CANCEL,
        Route.COMPLETIONS,
        Route.EMBEDDINGS,
        Route.IMAGE_EMBEDDINGS,
        Route.RERANK,
        Route.CLASSIFY,
        Route.EMBED_SPARSE,
    ]
    assert {row.route: row for row in ROWS} == ROUTES


def test_every_route_has_a_journey_and_those_with_a_body_a_dry_run(journeys: dict[Route, Journey]) -> None:
    dry_runs = {route: journey.dry_run is not None for route, journey in journeys.items()}
    assert dry_runs == {row.route: row.request is not None for row in ROWS}


def test_every_route_has_a_trigger_of_its_methods(triggers: dict[str, list[str]]) -> None:
    remaining = triggers.pop(EVERYTHING_ELSE)
    others = {"GET": ["HEAD", "OPTIONS"], "POST": ["OPTIONS"]}
    native = [row for row in ROWS if ApiStyle.NATIVE in row.styles]
    listed = {row.route: [row.method, *others[row.method]] for row in native}
    del listed[Route.OPENAPI]
    assert triggers == listed
    assert {row.method for row in ROWS} | {"DELETE"} <= set(remaining)


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_every_schema_of_a_row_exists(row: RouteRow) -> None:
    named = {name for name in (row.response, row.chunk, row.item) if name is not None}
    assert named <= set(RESPONSES)
    assert (row.response is None) is (row.route is Route.OPENAPI)


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_body_is_sent_by_post_and_answered_by_deployments_of_some_task(row: RouteRow) -> None:
    has_body = row.request is not None
    serving = row if row.like is None else ROUTES[row.like]
    assert (row.method == "POST" and row.route != Route.RESPONSE_CANCEL) is has_body
    assert bool(serving.tasks) is has_body
    assert not (has_body and row.open)


@pytest.mark.parametrize("row", WITH_BODY, ids=name_of)
def test_a_request_type_is_of_its_row_s_route(row: RouteRow) -> None:
    assert row.request is not None
    assert row.request.route == (Route.RESPONSES if row.like is not None else row.route)
    assert BY_NAME[row.request.text_key].place is ParameterPlace.ENVELOPE
    assert row.request.route in BY_NAME[row.request.text_key].routes


@pytest.mark.parametrize("row", WITH_BODY, ids=name_of)
def test_a_row_has_chunks_where_its_request_can_ask_for_a_stream(row: RouteRow) -> None:
    assert row.request is not None
    streams = "stream" in row.request.model_fields and row.route != Route.INPUT_TOKENS
    assert (row.chunk is not None) is streams


def test_no_key_is_needed_for_health_and_the_document_alone() -> None:
    assert {row.route for row in ROWS if row.open} == {Route.HEALTH, Route.OPENAPI}


def test_the_openai_paths_lack_the_native_routes() -> None:
    assert {row.route for row in ROWS if ApiStyle.OPENAI not in row.styles} == {
        Route.INFO,
        Route.HEALTH,
        Route.IMAGE_EMBEDDINGS,
    }
    assert {row.route for row in ROWS if ApiStyle.NATIVE not in row.styles} == {
        Route.RESPONSES,
        Route.INPUT_TOKENS,
        Route.RESPONSE,
        Route.RESPONSE_INPUT,
        Route.RESPONSE_CANCEL,
    }


@pytest.mark.parametrize(
    ("task", "routes"),
    [
        (Task.CHAT, {Route.CHAT, Route.COMPLETIONS}),
        (Task.TEXT, {Route.COMPLETIONS}),
        (Task.EMBEDDINGS, {Route.EMBEDDINGS}),
        (Task.IMAGE_EMBEDDINGS, {Route.IMAGE_EMBEDDINGS}),
        (Task.CLASSIFICATION, {Route.CLASSIFY}),
        (Task.RERANK, {Route.RERANK}),
        (Task.SPARSE_EMBEDDINGS, {Route.EMBED_SPARSE}),
    ],
)
def test_a_task_serves_its_routes(task: Task, routes: set[Route]) -> None:
    assert routes_of(task) == routes
