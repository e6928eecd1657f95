"""The OpenAPI document agrees with the table, the paths and the shapes."""

import re
from typing import Any

import pytest

from inference.api.http_types import resolve
from inference.api.parameters import of_route
from inference.api.routes import ROUTES
from inference.contracts import Route
from inference.pipeline.openapi import document

DOCUMENT = document()
OPERATIONS = {
    (path, method): operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method in ("get", "post")
}


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(references(item) for item in value.values()))
    return set().union(*(references(item) for item in value)) if isinstance(value, list) else set()


def test_every_reference_leads_somewhere() -> None:
    names = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert references(DOCUMENT) <= names


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_every_path_resolves_to_its_route(path: str) -> None:
    target = resolve(path.replace("{deployment}", "tiny").replace("{model}", "tiny"))
    assert target.route is not None
    assert (target.deployment == "tiny") == ("{deployment}" in path)
    method = ROUTES[target.route].method.lower()
    assert (path, method) in OPERATIONS


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_path_parameters_are_declared(path: str) -> None:
    declared = {one["name"] for one in DOCUMENT["paths"][path].get("parameters", ())}
    assert declared == set(re.findall(r"{(\w+)}", path))


def test_refusals_are_in_the_style_of_the_path() -> None:
    native, openai = (
        OPERATIONS[path, "post"]["responses"] for path in ("/chat/completions", "/v1/chat/completions")
    )
    assert set(native) - set(openai) == {"422"}
    for responses, name in ((native, "Error"), (openai, "OpenAIError")):
        schema = responses["400"]["content"]["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{name}"}


@pytest.mark.parametrize("route", [row.route for row in ROUTES.values() if row.request is not None])
def test_a_body_has_the_rows_of_its_route_with_their_ranges(route: Route) -> None:
    request_type = ROUTES[route].request
    assert request_type is not None
    schema = DOCUMENT["components"]["schemas"][request_type.__name__]
    rows = {row.name: row for row in of_route(request_type.route)}
    assert set(schema["properties"]) == set(rows)
    for name, described in schema["properties"].items():
        assert described["description"] == rows[name].meaning
        for member in described.get("anyOf", ()):
            if "minimum" in member and rows[name].minimum is not None:
                assert (member["minimum"], member["maximum"]) == (rows[name].minimum, rows[name].maximum)
