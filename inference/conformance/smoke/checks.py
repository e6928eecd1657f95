"""The checks, in the order they are made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from inference.conformance.smoke.endpoint import SmokeCheck, SmokeFailure, SmokeTarget, expect
from inference.conformance.smoke.questions import STANDARD, Body, body, undeclared
from inference.contracts import Route

WRONG_KEY = "not-a-key-of-this-endpoint"


def smoke(endpoint: SmokeTarget) -> list[SmokeCheck]:
    """Every check; where the endpoint cannot be reached, or lists nothing, the others are not made."""
    models: list[Mapping[str, Any]] = []
    if endpoint.check("GET /health", partial(_health, endpoint)) and endpoint.check(
        "GET /models", partial(_models, endpoint, models)
    ):
        if endpoint.credentials:
            endpoint.check("401 without a key", _refusal(endpoint, 401, "GET", "/models", None, {}))
            wrong = {"api-key": WRONG_KEY}
            endpoint.check("401 with a wrong key", _refusal(endpoint, 401, "GET", "/models", None, wrong))
        endpoint.check("404 for an unknown route", _refusal(endpoint, 404, "GET", "/no/such/route"))
        for model in models:
            _check_model(endpoint, f"/deployments/{model['id']}", model)
    return endpoint.checks


def _health(endpoint: SmokeTarget) -> str:
    answer = expect(endpoint.ask("GET", "/health", credentials={}), 200)
    broken = [name for name, state in answer["deployments"].items() if state == "broken"]
    if broken:
        raise SmokeFailure(f"broken deployments: {', '.join(broken)}")
    return f"version {answer['version']}"


def _models(endpoint: SmokeTarget, models: list[Mapping[str, Any]]) -> str:
    models.extend(expect(endpoint.ask("GET", "/models"), 200)["data"])
    if not models:
        raise SmokeFailure("no deployments")
    return ", ".join(model["id"] for model in models)


def _check_model(endpoint: SmokeTarget, base: str, model: Mapping[str, Any]) -> None:
    endpoint.check(f"GET {base}/info", partial(_info, endpoint, base))
    for route in (Route(path.strip("/")) for path in model["routes"] if path.strip("/") in set(Route)):
        path, asked = f"{base}/{route}", body(route, model["capabilities"])
        generates = route in STANDARD
        endpoint.check(f"POST {path}", partial(_text if generates else _vectors, endpoint, path, asked))
        if generates:
            endpoint.check(f"POST {path}, streamed", partial(_streamed, endpoint, path, asked))
        for status, reason, more in _refused(route, model["capabilities"]):
            question = _refusal(endpoint, status, "POST", path, {**asked, **more})
            endpoint.check(f"{status} for {reason}: {path}", question)


def _refused(route: Route, capabilities: Mapping[str, Any]) -> Iterator[tuple[int, str, Body]]:
    yield 400, "an extra parameter", {"smoke_extra": 1}
    more = undeclared(route, capabilities)
    for name in more:
        yield 422, f"{name}, which it does not declare", more


def _info(endpoint: SmokeTarget, base: str) -> str:
    return str(expect(endpoint.ask("GET", f"{base}/info"), 200)["model_type"])


def _text(endpoint: SmokeTarget, path: str, asked: Body) -> str:
    answer = expect(endpoint.ask("POST", path, asked), 200)
    choice = answer["choices"][0]
    text = choice["message"]["content"] if "message" in choice else choice["text"]
    return f"{answer['usage']['completion_tokens']} tokens, {choice['finish_reason']}, {text!r:.40}"


def _vectors(endpoint: SmokeTarget, path: str, asked: Body) -> str:
    answer = expect(endpoint.ask("POST", path, asked), 200)
    rows = [item["embedding"] for item in answer["data"]]
    if len(rows) != len(asked["input"]) or not all(any(row) for row in rows):
        raise SmokeFailure(f"{len(rows)} vectors for {len(asked['input'])} inputs, or one of zeros alone")
    return f"{len(rows)} vectors of {len(rows[0])}, {answer['usage']['prompt_tokens']} tokens"


def _streamed(endpoint: SmokeTarget, path: str, asked: Body) -> str:
    lines = endpoint.lines(path, {**asked, "stream": True})
    if not all(line.startswith("data: ") for line in lines) or lines[-1] != "data: [DONE]":
        raise SmokeFailure(f"the stream ends with {lines[-1][:80]!r}, not with [DONE]")
    last = json.loads(lines[-2].removeprefix("data: "))
    reason, total = last["choices"][0]["finish_reason"], last["usage"]["total_tokens"]
    return f"{len(lines) - 1} chunks, {reason}, {total} tokens with the prompt"


def _refusal(endpoint: SmokeTarget, status: int, *question: Any) -> Callable[[], str]:
    """A question that shows the code of the refusal."""
    return lambda: str(expect(endpoint.ask(*question), status)["error"]["code"])
