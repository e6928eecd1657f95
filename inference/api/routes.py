"""The table of routes: one row a route, which dispatch, OpenAPI, cards and the dry run read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from inference.api.chat import ChatRequest
from inference.api.classify import ClassifyRequest, EmbedSparseRequest
from inference.api.completions import CompletionRequest
from inference.api.embeddings import EmbeddingsRequest, ImageEmbeddingsRequest
from inference.api.rerank import RerankRequest
from inference.api.responses import ResponsesRequest
from inference.api.validation import Request
from inference.contracts import ApiStyle, Route, Task

BOTH = frozenset(ApiStyle)
NATIVE = frozenset({ApiStyle.NATIVE})
OPENAI = frozenset({ApiStyle.OPENAI})
REFUSALS = (400, 401, 404, 408, 413, 415, 422, 424, 429, 500, 503)
"""The statuses with which a request that has a body may be refused; OpenAI's API has no 422."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRow:
    """The facts of a route; its journey is in `service.py`, its trigger in `function_app.py`."""

    route: Route
    method: Literal["GET", "POST"]
    summary: str
    response: str | None
    """The schema of the answer, a key of `response_schemas.RESPONSES`; None leaves it out of OpenAPI."""
    chunk: str | None = None
    """The schema of a streamed answer's chunks; None for a route that does not stream."""
    item: str | None = None
    """The schema of one item, for a list whose items have paths of their own."""
    request: type[Request] | None = None
    """The type of the body. A route that has one can be run dry; the type says what the content filter judges
    (`filtered_texts`) and what a remote endpoint is sent."""
    tasks: frozenset[Task] = frozenset()
    """The tasks whose deployments serve it."""
    like: Route | None = None
    """The route whose deployments, and whose default deployment, it has instead: one more form of it."""
    deletes: bool = False
    """True if it answers DELETE too."""
    query: tuple[str, ...] = ()
    """The query parameters beside `api-version`."""
    styles: frozenset[ApiStyle] = BOTH
    other_paths: tuple[str, ...] = ()
    """Paths by which clients of other APIs call it too, under every base path."""
    refusals: tuple[int, ...] = REFUSALS
    open: bool = False
    """True if no key is needed."""

    def refusals_in(self, style: ApiStyle) -> tuple[int, ...]:
        """Return the statuses of its refusals in a style: under the OpenAI paths a wrong value is a 400."""
        return tuple(status for status in self.refusals if style is ApiStyle.NATIVE or status != 422)


ROWS = (
    RouteRow(
        route=Route.INFO,
        method="GET",
        summary="What a deployment is and can do",
        response="Info",
        query=("model",),
        styles=NATIVE,
        refusals=(400, 401, 404, 424),
    ),
    RouteRow(
        route=Route.MODELS,
        method="GET",
        summary="Every deployment with its capabilities",
        response="Models",
        item="Model",
        refusals=(401, 404, 424),
    ),
    RouteRow(
        route=Route.HEALTH,
        method="GET",
        summary="Whether the app is up, and which models are open",
        response="Health",
        styles=NATIVE,
        refusals=(),
        open=True,
    ),
    RouteRow(
        route=Route.OPENAPI,
        method="GET",
        summary="This document",
        response=None,
        refusals=(),
        open=True,
    ),
    RouteRow(
        route=Route.CHAT,
        method="POST",
        summary="The next message of a conversation",
        response="ChatCompletion",
        chunk="ChatCompletionChunk",
        request=ChatRequest,
        tasks=frozenset({Task.CHAT}),
    ),
    RouteRow(
        route=Route.RESPONSES,
        method="POST",
        summary="The next response of a conversation",
        response="Response",
        chunk="ResponseEvent",
        request=ResponsesRequest,
        like=Route.CHAT,
        styles=OPENAI,
    ),
    RouteRow(
        route=Route.INPUT_TOKENS,
        method="POST",
        summary="The tokens of a response's input",
        response="InputTokens",
        request=ResponsesRequest,
        like=Route.CHAT,
        styles=OPENAI,
    ),
    RouteRow(
        route=Route.RESPONSE,
        method="GET",
        summary="A response that was kept",
        response="Response",
        deletes=True,
        query=("include",),
        styles=OPENAI,
        refusals=(401, 404, 422, 503),
    ),
    RouteRow(
        route=Route.RESPONSE_INPUT,
        method="GET",
        summary="The input of a response that was kept",
        response="InputItems",
        query=("order", "limit", "after", "include"),
        styles=OPENAI,
        refusals=(401, 404, 422, 503),
    ),
    RouteRow(
        route=Route.RESPONSE_CANCEL,
        method="POST",
        summary="The cancellation of a response in the background, of which there is none",
        response="Response",
        styles=OPENAI,
        refusals=(400, 401, 404, 503),
    ),
    RouteRow(
        route=Route.COMPLETIONS,
        method="POST",
        summary="The continuation of a text",
        response="Completion",
        chunk="Completion",
        request=CompletionRequest,
        tasks=frozenset({Task.CHAT, Task.TEXT}),
    ),
    RouteRow(
        route=Route.EMBEDDINGS,
        method="POST",
        summary="Texts as vectors",
        response="Embeddings",
        request=EmbeddingsRequest,
        tasks=frozenset({Task.EMBEDDINGS}),
    ),
    RouteRow(
        route=Route.IMAGE_EMBEDDINGS,
        method="POST",
        summary="Images as vectors",
        response="Embeddings",
        request=ImageEmbeddingsRequest,
        tasks=frozenset({Task.IMAGE_EMBEDDINGS}),
        styles=NATIVE,
    ),
    RouteRow(
        route=Route.RERANK,
        method="POST",
        summary="Documents by their relevance to a query",
        response="Ranking",
        request=RerankRequest,
        tasks=frozenset({Task.RERANK}),
        other_paths=("v2/rerank",),
    ),
    RouteRow(
        route=Route.CLASSIFY,
        method="POST",
        summary="The labels of texts with their scores",
        response="Classification",
        request=ClassifyRequest,
        tasks=frozenset({Task.CLASSIFICATION}),
        other_paths=("predict",),
    ),
    RouteRow(
        route=Route.EMBED_SPARSE,
        method="POST",
        summary="Texts as the weights of tokens",
        response="SparseEmbeddings",
        request=EmbedSparseRequest,
        tasks=frozenset({Task.SPARSE_EMBEDDINGS}),
    ),
)

ROUTES: Mapping[Route, RouteRow] = {row.route: row for row in ROWS}
OTHER_PATHS: Mapping[str, Route] = {path: row.route for row in ROWS for path in row.other_paths}


@cache
def routes_of(task: Task) -> frozenset[Route]:
    """Return the routes that a deployment of a task serves."""
    return frozenset(row.route for row in ROUTES.values() if task in row.tasks)


def with_forms(routes: frozenset[Route]) -> frozenset[Route]:
    """Return the routes of a deployment with those that are one more form of them."""
    return routes | {row.route for row in ROUTES.values() if row.like in routes and row.chunk is not None}
