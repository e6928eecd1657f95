"""The OpenAPI 3.1 document, made from the table of parameters and the shapes that validate requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inference import __version__
from inference.api.parameters import ParameterPlace, of_route
from inference.api.paths import BASES, ApiStyle
from inference.api.response_schemas import RESPONSES, ref
from inference.api.routes import SHAPES
from inference.contracts import Route
from inference.pipeline.extra_parameters import WORDS

Schema = dict[str, Any]

SUMMARIES: Mapping[Route, str] = {
    Route.INFO: "What a deployment is and can do",
    Route.MODELS: "Every deployment with its capabilities",
    Route.HEALTH: "Whether the app is up, and which models are open",
    Route.CHAT: "The next message of a conversation",
    Route.COMPLETIONS: "The continuation of a text",
    Route.EMBEDDINGS: "Texts as vectors",
    Route.IMAGE_EMBEDDINGS: "Pictures as vectors",
}
ANSWERS: Mapping[Route, tuple[str, str | None]] = {
    Route.INFO: ("Info", None),
    Route.MODELS: ("Models", None),
    Route.HEALTH: ("Health", None),
    Route.CHAT: ("ChatCompletion", "ChatCompletionChunk"),
    Route.COMPLETIONS: ("Completion", "Completion"),
    Route.EMBEDDINGS: ("Embeddings", None),
    Route.IMAGE_EMBEDDINGS: ("Embeddings", None),
}
"""Per route the schema of the whole answer, and of the chunks of a streamed one."""
REFUSALS: Mapping[Route, Sequence[int]] = {
    Route.INFO: (400, 401, 404, 424),
    Route.MODELS: (401, 404, 424),
    Route.HEALTH: (),
}
POST_REFUSALS = (400, 401, 404, 413, 415, 422, 424, 429, 500, 503)
NATIVE_ONLY = frozenset({Route.INFO, Route.IMAGE_EMBEDDINGS, Route.HEALTH})


def document() -> Schema:
    """The whole document, JSON-ready and the same on every call."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Model Inference",
            "version": __version__,
            "description": "The Azure AI Model Inference API on models and an account of your own.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}, {"bearer": []}],
        "paths": dict(_paths()),
        "components": {
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "schemas": _schemas(),
        },
    }


def _paths() -> Iterator[tuple[str, Schema]]:
    for base, dialect in reversed(BASES):
        prefix = "".join(f"/{part}" for part in base).replace("{name}", "{deployment}")
        for route in SUMMARIES:
            if dialect is ApiStyle.OPENAI and route in NATIVE_ONLY:
                continue
            if base == ("models",) and route is Route.MODELS:
                continue
            yield from _path(f"{prefix}/{route}", route, dialect, has_deployment="{name}" in base)


def _path(
    path: str, route: Route, dialect: ApiStyle, *, has_deployment: bool
) -> Iterator[tuple[str, Schema]]:
    shared = [_parameter("path", "deployment", {"type": "string"}, required=True)] if has_deployment else []
    method = "post" if route in SHAPES else "get"
    item: Schema = {"parameters": shared} if shared else {}
    yield path, {**item, method: _operation(path, route, dialect)}
    if route is Route.MODELS:
        named = _parameter("path", "model", {"type": "string"}, required=True)
        operation = _operation(f"{path}/one", route, dialect) | {"summary": "One deployment"}
        operation["responses"]["200"] = _json("Model", "The deployment")
        yield f"{path}/{{model}}", {"parameters": [*shared, named], "get": operation}


def _operation(path: str, route: Route, dialect: ApiStyle) -> Schema:
    operation: Schema = {
        "operationId": "".join(part.strip("{}").title() for part in path.replace("/", " ").split()),
        "summary": SUMMARIES[route],
        "parameters": list(_parameters(route, dialect)),
        "responses": _responses(route),
    }
    if route is Route.HEALTH:
        operation["security"] = []
    if route in SHAPES:
        body = ref(SHAPES[route].__name__)
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def _parameters(route: Route, dialect: ApiStyle) -> Iterator[Schema]:
    text: Schema = {"type": "string"}
    if dialect is ApiStyle.NATIVE:
        yield _parameter("query", "api-version", {**text, "pattern": r"^\d{4}-\d{2}-\d{2}(-preview)?$"})
    if route is Route.INFO:
        yield _parameter("query", "model", text)
    if route in SHAPES and dialect is ApiStyle.NATIVE:
        yield _parameter("header", "extra-parameters", {**text, "enum": list(WORDS)})
    if route in SHAPES:
        yield _parameter("header", "azureml-model-deployment", text)
        yield _parameter("header", "x-dry-run", {**text, "enum": ["true"]})


def _parameter(place: str, name: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"in": place, "name": name, "required": required, "schema": schema}


def _responses(route: Route) -> Schema:
    whole, chunk = ANSWERS[route]
    fine = _json(whole, "The answer")
    if route in SHAPES:
        fine["content"]["application/json"]["schema"] = {"anyOf": [ref(whole), ref("DryRun")]}
    if chunk is not None:
        fine["content"]["text/event-stream"] = {"schema": ref(chunk)}
    refusals = {str(status): _refusal(status) for status in REFUSALS.get(route, POST_REFUSALS)}
    return {"200": fine, **refusals}


def _refusal(status: int) -> Schema:
    refusal = _json("Error", "The refusal")
    headers: Schema = {"x-ms-error-code": {"schema": {"type": "string"}}}
    if status in (429, 503):
        headers["Retry-After"] = {"schema": {"type": "integer"}}
    return {**refusal, "headers": headers}


def _json(name: str, description: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": ref(name)}}}


def _schemas() -> Schema:
    schemas: Schema = dict(RESPONSES)
    for route, shape in SHAPES.items():
        schema = shape.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        for row in of_route(route):
            described = schema["properties"][row.name]
            described["description"] = row.meaning
            if row.place in (ParameterPlace.EXTRA, ParameterPlace.LABEL):
                described["x-extra"] = True
        schemas[shape.__name__] = schema
    return dict(sorted(schemas.items()))
