"""The table of parameters, and that the wire's shapes are made from it."""

from typing import Any, get_args, get_type_hints

import pytest
from openai.types import completion_create_params as openai_text
from openai.types import embedding_create_params as openai_vectors
from openai.types.chat import completion_create_params as openai_chat
from openai.types.responses import response_create_params as openai_responses

from inference.api.chat import ChatRequest
from inference.api.classify import ClassifyRequest, EmbedSparseRequest
from inference.api.completions import CompletionRequest
from inference.api.embeddings import EmbeddingsRequest, ImageEmbeddingsRequest
from inference.api.parameters import BY_NAME, ROWS, ParameterPlace, default_of, of_route, rows_of
from inference.api.rerank import RerankRequest
from inference.api.responses import ResponsesRequest
from inference.api.validation import Request
from inference.contracts import Route

SHAPES: dict[Route, type[Request]] = {
    Route.CHAT: ChatRequest,
    Route.RESPONSES: ResponsesRequest,
    Route.COMPLETIONS: CompletionRequest,
    Route.EMBEDDINGS: EmbeddingsRequest,
    Route.IMAGE_EMBEDDINGS: ImageEmbeddingsRequest,
    Route.RERANK: RerankRequest,
    Route.CLASSIFY: ClassifyRequest,
    Route.EMBED_SPARSE: EmbedSparseRequest,
}


def test_names_are_unique_on_a_route() -> None:
    on_routes = [(row.name, route) for row in ROWS for route in row.routes]
    assert len(set(on_routes)) == len(on_routes)
    assert all(rows_of(route)[row.name] is row for row in ROWS for route in row.routes)
    assert set(BY_NAME) == {row.name for row in ROWS}


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


@pytest.mark.parametrize(
    ("name", "neutral", "asking"),
    [
        ("n", [1, 1.0], [2, True]),
        ("top_k", [0, -1], [1, False]),
        ("stop", [[], "", [""]], ["x", ["x"], [1]]),
        ("logit_bias", [{}, {"5": 0}], [{"5": 1}]),
        (
            "stream_options",
            [{}, {"include_usage": False}, {"include_usage": None}],
            [{"include_usage": True}],
        ),
        ("logprobs", [False], [0, True, 3]),
        ("top_logprobs", [0], [False, 1]),
        ("response_format", ["text", {"type": "text"}], ["json_object", {"type": "json_object"}, {}]),
        ("tool_choice", ["none", "auto"], ["required", {"type": "function"}, {"type": "allowed_tools"}]),
        ("tools", [[]], [[{"type": "function"}]]),
        ("functions", [[]], [[{"name": "f"}]]),
        ("modalities", [[], ["text"]], [["audio"], ["text", "audio"]]),
        ("reasoning_effort", ["none"], ["low"]),
        ("service_tier", ["auto", "default"], ["flex"]),
        ("store", [False], [True, 0]),
        ("metadata", [{}], [{"a": "b"}]),
        ("web_search_options", [], [{}]),
        ("seed", [], [0]),
    ],
)
def test_a_value_is_neutral_if_it_asks_for_nothing(name: str, neutral: list[Any], asking: list[Any]) -> None:
    row = BY_NAME[name]
    assert [row.is_neutral(value) for value in neutral] == [True] * len(neutral)
    assert [row.is_neutral(value) for value in asking] == [False] * len(asking)


@pytest.mark.parametrize(
    ("params", "route"),
    [
        (openai_chat.CompletionCreateParamsStreaming, Route.CHAT),
        (openai_text.CompletionCreateParamsStreaming, Route.COMPLETIONS),
        (openai_responses.ResponseCreateParamsStreaming, Route.RESPONSES),
        (openai_vectors.EmbeddingCreateParams, Route.EMBEDDINGS),
    ],
)
def test_every_parameter_of_the_openai_package_has_a_row(params: Any, route: Route) -> None:
    assert set(get_type_hints(params)) <= {row.name for row in of_route(route)}


@pytest.mark.parametrize("name", ["reasoning_effort", "service_tier", "verbosity", "prompt_cache_retention"])
def test_every_word_of_the_openai_package_is_a_value(name: str) -> None:
    hint = get_type_hints(openai_chat.CompletionCreateParamsStreaming)[name]
    assert set(_words(hint)) <= set(BY_NAME[name].values)


def _words(hint: Any) -> list[str]:
    """Return the words of the literals in a type."""
    return [word for part in get_args(hint) for word in ([part] if isinstance(part, str) else _words(part))]
