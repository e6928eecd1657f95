"""The OpenAPI 3.1 document, made of the tables of routes and parameters and the types of requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inference import __version__
from inference.api.http_types import BASES
from inference.api.parameters import ParameterPlace, of_route
from inference.api.response_schemas import RESPONSES, ref
from inference.api.routes import ROUTES, RouteRow
from inference.api.validation import Request
from inference.contracts import ApiStyle
from inference.pipeline.extra_parameters import WORDS

Schema = dict[str, Any]


def document() -> Schema:
    """Return the whole document, JSON-ready and the same on every call."""
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
    for base, style in reversed(BASES):
        prefix = "".join(f"/{part}" for part in base).replace("{name}", "{deployment}")
        for row in ROUTES.values():
            # `/models/models` is no path: the base `/models` is the list itself.
            if row.response is not None and style in row.styles and base != (row.route,):
                yield from _path(f"{prefix}/{row.route}", row, style)


def _path(path: str, row: RouteRow, style: ApiStyle) -> Iterator[tuple[str, Schema]]:
    names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
    shared = [_parameter("path", name, {"type": "string"}, required=True) for name in names]
    item: Schema = {"parameters": shared} if shared else {}
    if row.deletes:
        operation = _operation(f"{path}/delete", row, style) | {"summary": f"{row.summary}, deleted"}
        operation["responses"]["200"] = _json("DeletedResponse", "What was deleted")
        operation["parameters"] = []
        item["delete"] = operation
    yield path, {**item, row.method.lower(): _operation(path, row, style)}
    if row.item is not None:
        named = _parameter("path", "model", {"type": "string"}, required=True)
        operation = _operation(f"{path}/one", row, style) | {"summary": "One deployment"}
        operation["responses"]["200"] = _json(row.item, "The deployment")
        yield f"{path}/{{model}}", {"parameters": [*shared, named], "get": operation}


def _operation(path: str, row: RouteRow, style: ApiStyle) -> Schema:
    operation: Schema = {
        "operationId": "".join(part.strip("{}").title() for part in path.replace("/", " ").split()),
        "summary": row.summary,
        "parameters": list(_parameters(row, style)),
        "responses": _responses(row, style),
    }
    if row.open:
        operation["security"] = []
    if row.request is not None:
        body = ref(row.request.__name__)
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def _parameters(row: RouteRow, style: ApiStyle) -> Iterator[Schema]:
    text: Schema = {"type": "string"}
    if style is ApiStyle.NATIVE:
        yield _parameter("query", "api-version", {**text, "pattern": r"^\d{4}-\d{2}-\d{2}(-preview)?$"})
    for name in row.query:
        yield _parameter("query", name, text)
    if row.request is not None and style is ApiStyle.NATIVE:
        yield _parameter("header", "extra-parameters", {**text, "enum": list(WORDS)})
    if row.request is not None:
        yield _parameter("header", "azureml-model-deployment", text)
        yield _parameter("header", "x-dry-run", {**text, "enum": ["true"]})


def _parameter(place: str, name: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"in": place, "name": name, "required": required, "schema": schema}


def _responses(row: RouteRow, style: ApiStyle) -> Schema:
    assert row.response is not None
    success = _json(row.response, "The answer")
    if row.request is not None:
        success["content"]["application/json"]["schema"] = {"anyOf": [ref(row.response), ref("DryRun")]}
    if row.chunk is not None:
        success["content"]["text/event-stream"] = {"schema": ref(row.chunk)}
    refusals = {str(status): _refusal(status, style) for status in row.refusals_in(style)}
    return {"200": success, **refusals}


def _refusal(status: int, style: ApiStyle) -> Schema:
    refusal = _json("OpenAIError" if style is ApiStyle.OPENAI else "Error", "The refusal")
    headers: Schema = {"x-ms-error-code": {"schema": {"type": "string"}}}
    if status in (429, 503):
        headers["Retry-After"] = {"schema": {"type": "integer"}}
    return {**refusal, "headers": headers}


def _json(name: str, description: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": ref(name)}}}


def _schemas() -> Schema:
    schemas: Schema = dict(RESPONSES)
    for row in ROUTES.values():
        if row.request is not None:
            schemas |= _request_schemas(row.request)
    return dict(sorted(schemas.items()))


def _request_schemas(request: type[Request]) -> Schema:
    """Return the schemas of a request's type and of its parts, with the meaning of every parameter."""
    schema = request.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
    parts: Schema = schema.pop("$defs", {})
    for parameter in of_route(request.route):
        described = schema["properties"][parameter.name]
        described["description"] = parameter.meaning
        if parameter.place in (ParameterPlace.EXTRA, ParameterPlace.LABEL):
            described["x-extra"] = True
    return {**parts, request.__name__: schema}
