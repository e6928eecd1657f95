"""The table of parameters, and that the wire's shapes are made from it."""

import pytest

from inference.api.chat import ChatRequest
from inference.api.completions import CompletionRequest
from inference.api.embeddings import EmbeddingsRequest, ImageEmbeddingsRequest
from inference.api.parameters import BY_NAME, ROWS, ParameterPlace, default_of, of_route
from inference.api.validation import Request
from inference.contracts import Route

SHAPES: dict[Route, type[Request]] = {
    Route.CHAT: ChatRequest,
    Route.COMPLETIONS: CompletionRequest,
    Route.EMBEDDINGS: EmbeddingsRequest,
    Route.IMAGE_EMBEDDINGS: ImageEmbeddingsRequest,
}


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(ROWS)


@pytest.mark.parametrize("route", SHAPES)
def test_the_shape_of_a_route_has_its_rows_and_no_others(route: Route) -> None:
    fields = SHAPES[route].model_fields
    assert {field.alias or name for name, field in fields.items()} == {row.name for row in of_route(route)}


@pytest.mark.parametrize("route", SHAPES)
def test_ranges_come_from_the_rows(route: Route) -> None:
    for row in of_route(route):
        if row.minimum is None or row.name == "logit_bias":
            continue
        limits = {
            key: getattr(rule, key)
            for rule in SHAPES[route].model_fields[row.name].metadata
            for key in ("ge", "le")
            if hasattr(rule, key)
        }
        assert limits == {"ge": row.minimum, "le": row.maximum}


def test_every_row_says_what_it_means() -> None:
    assert all(row.meaning.endswith(".") and row.routes for row in ROWS)


def test_places_divide_a_route() -> None:
    rows = of_route(Route.CHAT)
    parts = [of_route(Route.CHAT, place) for place in ParameterPlace]
    assert sorted(row.name for part in parts for row in part) == sorted(row.name for row in rows)


@pytest.mark.parametrize(
    ("version", "temperature"),
    [("2024-04-01-preview", 1.0), ("2024-05-01-preview", 0.7), ("2025-04-01", 0.7), ("openai", 1.0)],
)
def test_the_default_temperature_depends_on_the_version(version: str, temperature: float) -> None:
    assert default_of("temperature", Route.CHAT, version) == temperature
    assert default_of("temperature", Route.COMPLETIONS, version) == 1.0


def test_the_default_length_of_a_completion_is_the_reference_one() -> None:
    assert default_of("max_tokens", Route.COMPLETIONS, "2024-05-01-preview") == 256
    assert default_of("max_tokens", Route.CHAT, "2024-05-01-preview") is None
