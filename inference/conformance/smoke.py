"""The smoke test of a running endpoint: every route that `/models` lists, and the refusals that must come.

The endpoint is sent requests as any client sends them, and all knowledge of it comes from `/models`.
"""

from __future__ import annotations

import json
import struct
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from inference.api.routes import ROUTES
from inference.contracts import ApiStyle, Route

RETRIED = (429, 503)
"""Statuses of a busy endpoint, or of a model that is still loading."""
RETRY_SECONDS = 2
"""Wait where the endpoint sends no Retry-After."""
WRONG_KEY = "not-a-key-of-this-endpoint"
SIGNATURE = b"\x89PNG\r\n\x1a\n"

Body = Mapping[str, Any]
POSTED = {route for route, row in ROUTES.items() if ApiStyle.NATIVE in row.styles}
"""The routes under a deployment's native path."""


class SmokeFailure(Exception):
    """A response is not the expected one; the message says in which way."""


@dataclass(frozen=True, slots=True)
class SmokeCheck:
    """Result of one check: its duration, and a phrase about the response or the failure."""

    name: str
    passed: bool
    seconds: float
    detail: str


@dataclass(slots=True)
class SmokeTarget:
    """An endpoint under test, with its credentials; a request is retried for `patience` seconds."""

    http: httpx.Client
    credentials: Mapping[str, str]
    patience: float = 240
    sleep: Callable[[float], None] = time.sleep
    checks: list[SmokeCheck] = field(default_factory=list)

    def request(
        self, method: str, path: str, body: Body | None = None, credentials: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Return the first response that is not to be retried, or the last one within the patience."""
        headers = dict(self.credentials if credentials is None else credentials)
        deadline = time.monotonic() + self.patience
        while True:
            response = self.http.request(method, path, json=body, headers=headers)
            if response.status_code not in RETRIED or time.monotonic() >= deadline:
                return response
            self.sleep(float(response.headers.get("retry-after", RETRY_SECONDS)))

    def stream_lines(self, path: str, body: Body) -> list[str]:
        """Return the lines of a stream without empty ones. Raises `SmokeFailure` where it is refused."""
        with self.http.stream("POST", path, json=body, headers=dict(self.credentials)) as response:
            if response.status_code != 200:
                raise SmokeFailure(f"{response.status_code}: {response.read().decode()[:200]}")
            return [line for line in response.iter_lines() if line]

    def check(self, name: str, probe: Callable[[], str]) -> bool:
        """Record the result of a probe, and return True where it passed."""
        began = time.monotonic()
        try:
            detail, passed = probe(), True
        except SmokeFailure as error:
            detail, passed = str(error), False
        except (httpx.HTTPError, LookupError, TypeError, ValueError) as error:
            detail, passed = f"{type(error).__name__}: {error}", False
        self.checks.append(SmokeCheck(name, passed, time.monotonic() - began, detail))
        return passed


def expect(response: httpx.Response, status: int) -> dict[str, Any]:
    """Return the JSON of a response. Raises `SmokeFailure` for another status."""
    if response.status_code != status:
        raise SmokeFailure(f"{response.status_code} instead of {status}: {response.text[:200]}")
    found: dict[str, Any] = response.json()
    return found


def smoke(target: SmokeTarget) -> list[SmokeCheck]:
    """Run all checks; the first two alone where the endpoint is unreachable or has no deployments."""
    models: list[Mapping[str, Any]] = []
    if target.check("GET /health", partial(_health, target)) and target.check(
        "GET /models", partial(_models, target, models)
    ):
        if target.credentials:
            target.check("401 without a key", _refusal(target, 401, "GET", "/models", None, {}))
            wrong = {"api-key": WRONG_KEY}
            target.check("401 with a wrong key", _refusal(target, 401, "GET", "/models", None, wrong))
        target.check("404 for an unknown route", _refusal(target, 404, "GET", "/no/such/route"))
        for model in models:
            _check_model(target, f"/deployments/{model['id']}", model)
    return target.checks


def _health(target: SmokeTarget) -> str:
    found = expect(target.request("GET", "/health", credentials={}), 200)
    broken = [name for name, state in found["deployments"].items() if state == "broken"]
    if broken:
        raise SmokeFailure(f"broken deployments: {', '.join(broken)}")
    return f"version {found['version']}"


def _models(target: SmokeTarget, models: list[Mapping[str, Any]]) -> str:
    models.extend(expect(target.request("GET", "/models"), 200)["data"])
    if not models:
        raise SmokeFailure("no deployments")
    return ", ".join(model["id"] for model in models)


def _check_model(target: SmokeTarget, base: str, model: Mapping[str, Any]) -> None:
    target.check(f"GET {base}/info", partial(_info, target, base))
    for route in (Route(path.strip("/")) for path in model["routes"] if path.strip("/") in POSTED):
        path, body = f"{base}/{route}", small_body(route, model["capabilities"])
        generates = route in OPTIONAL
        answer = _text if generates else PROBES.get(route, _vectors)
        target.check(f"POST {path}", partial(answer, target, path, body))
        if generates:
            target.check(f"POST {path}, streamed", partial(_streamed, target, path, body))
        for status, reason, extra in _refused_bodies(route, model["capabilities"]):
            probe = _refusal(target, status, "POST", path, {**body, **extra})
            target.check(f"{status} for {reason}: {path}", probe)
    if f"/{Route.RESPONSES}" in model["routes"]:
        path = f"{base}/v1/{Route.RESPONSES}"
        body = small_body(Route.RESPONSES, model["capabilities"])
        target.check(f"POST {path}", partial(_response, target, path, body))
        target.check(f"POST {path}, streamed", partial(_response_events, target, path, body))


def _refused_bodies(route: Route, capabilities: Mapping[str, Any]) -> Iterator[tuple[int, str, Body]]:
    """Yield status, reason and parameters of requests that must be refused."""
    yield 400, "an extra parameter", {"smoke_extra": 1}
    extra = undeclared(route, capabilities)
    for name in extra:
        yield 422, f"{name}, which it does not declare", extra


def _info(target: SmokeTarget, base: str) -> str:
    return str(expect(target.request("GET", f"{base}/info"), 200)["model_type"])


def _text(target: SmokeTarget, path: str, body: Body) -> str:
    found = expect(target.request("POST", path, body), 200)
    choice = found["choices"][0]
    text = choice["message"]["content"] if "message" in choice else choice["text"]
    return f"{found['usage']['completion_tokens']} tokens, {choice['finish_reason']}, {text!r:.40}"


def _response(target: SmokeTarget, path: str, body: Body) -> str:
    found = expect(target.request("POST", path, body), 200)
    return f"{found['usage']['output_tokens']} tokens, {found['status']}"


def _response_events(target: SmokeTarget, path: str, body: Body) -> str:
    lines = target.stream_lines(path, {**body, "stream": True})
    if lines[-1] != "data: [DONE]":
        raise SmokeFailure(f"the stream ends with {lines[-1][:80]!r}, not with [DONE]")
    last = json.loads(lines[-2].removeprefix("data: "))
    return f"{last['sequence_number'] + 1} events, {last['response']['status']}"


def _vectors(target: SmokeTarget, path: str, body: Body) -> str:
    found = expect(target.request("POST", path, body), 200)
    rows = [item["embedding"] for item in found["data"]]
    if len(rows) != len(body["input"]) or not all(any(row) for row in rows):
        raise SmokeFailure(f"{len(rows)} vectors for {len(body['input'])} inputs, or one of zeros alone")
    return f"{len(rows)} vectors of {len(rows[0])}, {found['usage']['prompt_tokens']} tokens"


def _ranking(target: SmokeTarget, path: str, body: Body) -> str:
    results = expect(target.request("POST", path, body), 200)["results"]
    scores = [result["relevance_score"] for result in results]
    if len(scores) != len(body["documents"]) or scores != sorted(scores, reverse=True):
        raise SmokeFailure(f"{len(scores)} scores for {len(body['documents'])} documents, or not sorted")
    return f"{len(scores)} documents, the best {scores[0]:.3g}"


def _lists(target: SmokeTarget, path: str, body: Body) -> str:
    found: Any = expect(target.request("POST", path, body), 200)
    if len(found) != len(body["inputs"]) or not all(found):
        raise SmokeFailure(f"{len(found)} lists for {len(body['inputs'])} inputs, or an empty one")
    return f"{len(found)} lists, the first of {len(found[0])}"


PROBES: Mapping[Route, Callable[[SmokeTarget, str, Body], str]] = {
    Route.RERANK: _ranking,
    Route.CLASSIFY: _lists,
    Route.EMBED_SPARSE: _lists,
}
"""Probes of the routes that answer with scores."""


def _streamed(target: SmokeTarget, path: str, body: Body) -> str:
    lines = target.stream_lines(path, {**body, "stream": True})
    if not all(line.startswith("data: ") for line in lines) or lines[-1] != "data: [DONE]":
        raise SmokeFailure(f"the stream ends with {lines[-1][:80]!r}, not with [DONE]")
    last = json.loads(lines[-2].removeprefix("data: "))
    reason, total = last["choices"][0]["finish_reason"], last["usage"]["total_tokens"]
    return f"{len(lines) - 1} chunks, {reason}, {total} tokens with the prompt"


def _refusal(target: SmokeTarget, status: int, *request: Any) -> Callable[[], str]:
    """Return a probe that expects a refusal and returns its code."""
    return lambda: str(expect(target.request(*request), status)["error"]["code"])


GENERATION: Mapping[str, Any] = {
    "seed": 1,
    "frequency_penalty": 1,
    "presence_penalty": 1,
    "stop": ["."],
    "top_p": 0.5,
    "temperature": 0.5,
}
FUNCTION = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
OPTIONAL: Mapping[Route, Mapping[str, Any]] = {
    Route.CHAT: {
        "response_format": {"type": "json_object"},
        "tools": [FUNCTION],
        "modalities": ["text", "audio"],
        **GENERATION,
    },
    Route.COMPLETIONS: GENERATION,
}
"""Standard parameters with a valid value that changes an answer: a model without one must refuse it."""


def small_body(route: Route, capabilities: Mapping[str, Any]) -> Body:
    """Return a small request that every model of the route answers."""
    limit = {"max_tokens": 8} if capabilities.get("max_tokens", {}).get("supported") else {}
    renamed = {"max_output_tokens": 8} if limit else {}
    bodies: Mapping[Route, Body] = {
        Route.CHAT: {"messages": [{"role": "user", "content": "Hello!"}], **limit},
        Route.RESPONSES: {"input": "Hello!", "store": False, **renamed},
        Route.COMPLETIONS: {"prompt": "Hello", **limit},
        Route.EMBEDDINGS: {"input": ["a cat", "a kitten"]},
        Route.IMAGE_EMBEDDINGS: {"input": [{"image": red_square()}]},
        Route.RERANK: {"query": "a cat", "documents": ["a kitten", "a ship"]},
        Route.CLASSIFY: {"inputs": ["a cat", "a kitten"]},
        Route.EMBED_SPARSE: {"inputs": ["a cat", "a kitten"]},
    }
    return bodies[route]


def undeclared(route: Route, capabilities: Mapping[str, Any]) -> Body:
    """Return a parameter that the model does not declare; empty where it declares all."""
    if route in OPTIONAL:
        for name, value in OPTIONAL[route].items():
            if name in capabilities and not capabilities[name]["supported"]:
                return {name: value}
        return {}
    if route in PROBES:
        return {}
    return {"dimensions": max(capabilities.get("dimensions", {}).get("values") or [0]) + 1}


def red_square(edge: int = 32) -> str:
    """Return the data URL of a red PNG, made without an image library: the command needs only httpx."""
    header = struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\xff\0\0" * edge) * edge)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
    return f"data:image/png;base64,{b64encode(SIGNATURE + chunks).decode()}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def table(checks: Sequence[SmokeCheck]) -> str:
    """Return a line of each check, and a line of totals."""
    width = max(len(check.name) for check in checks)
    lines = [
        f"{'ok' if check.passed else 'FAILED':<8}{check.name:<{width}}{check.seconds:>8.2f} s  {check.detail}"
        for check in checks
    ]
    failed = sum(not check.passed for check in checks)
    verdict = f"{failed} of {len(checks)} checks failed" if failed else f"{len(checks)} checks passed"
    return "\n".join([*lines, "", f"{verdict} in {sum(check.seconds for check in checks):.1f} s"])
