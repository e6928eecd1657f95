"""An endpoint under test, and what was found."""

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
from inference.contracts import Route

LATER = (429, 503)
"""Busy, or a model that is still loading: asked again."""


class SmokeFailure(Exception):
    """An answer is not what it should be; the message says how."""


@dataclass(frozen=True, slots=True)
class SmokeCheck:
    """What one question showed, and how long it took."""

    name: str
    passed: bool
    seconds: float
    detail: str


@dataclass(slots=True)
class SmokeTarget:
    """Asked with its credentials; a cold one is waited for, `patience` seconds a question at most."""

    http: httpx.Client
    credentials: Mapping[str, str]
    patience: float = 240
    sleep: Callable[[float], None] = time.sleep
    checks: list[SmokeCheck] = field(default_factory=list)

    def ask(
        self, method: str, path: str, body: Any = None, credentials: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """The first answer that does not ask to come later, or the last one where patience ends."""
        headers = dict(self.credentials if credentials is None else credentials)
        deadline = time.monotonic() + self.patience
        while True:
            answer = self.http.request(method, path, json=body, headers=headers)
            if answer.status_code not in LATER or time.monotonic() >= deadline:
                return answer
            self.sleep(float(answer.headers.get("retry-after", 2)))

    def lines(self, path: str, body: Any) -> list[str]:
        """The lines of a streamed answer that say something. Raises `SmokeFailure` where it is refused."""
        with self.http.stream("POST", path, json=body, headers=dict(self.credentials)) as answer:
            if answer.status_code != 200:
                raise SmokeFailure(f"{answer.status_code}: {answer.read().decode()[:200]}")
            return [line for line in answer.iter_lines() if line]

    def check(self, name: str, question: Callable[[], str]) -> bool:
        """Notes what a question showed: its sentence, or what went wrong."""
        began = time.monotonic()
        try:
            detail, passed = question(), True
        except SmokeFailure as error:
            detail, passed = str(error), False
        except (httpx.HTTPError, LookupError, TypeError, ValueError) as error:
            detail, passed = f"{type(error).__name__}: {error}", False
        self.checks.append(SmokeCheck(name, passed, time.monotonic() - began, detail))
        return passed


def expect(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The JSON of an answer. Raises `SmokeFailure` where it has another status or none."""
    if answer.status_code != status:
        raise SmokeFailure(f"{answer.status_code} instead of {status}: {answer.text[:200]}")
    body: dict[str, Any] = answer.json()
    return body


def table(checks: Sequence[SmokeCheck]) -> str:
    """What was found, a line a check, and a line of sums."""
    width = max(len(check.name) for check in checks)
    lines = [
        f"{'ok' if check.passed else 'FAILED':<8}{check.name:<{width}}{check.seconds:>8.2f} s  {check.detail}"
        for check in checks
    ]
    failed = sum(not check.passed for check in checks)
    verdict = f"{failed} of {len(checks)} checks failed" if failed else f"{len(checks)} checks passed"
    return "\n".join([*lines, "", f"{verdict} in {sum(check.seconds for check in checks):.1f} s"])


Body = Mapping[str, Any]

SIGNATURE = b"\x89PNG\r\n\x1a\n"

GENERATION: Mapping[str, Any] = {
    "seed": 1,
    "frequency_penalty": 1,
    "presence_penalty": 1,
    "stop": ["."],
    "top_p": 0.5,
    "temperature": 0.5,
}
FUNCTION = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
STANDARD: Mapping[Route, Mapping[str, Any]] = {
    Route.CHAT: {
        "response_format": {"type": "json_object"},
        "tools": [FUNCTION],
        "modalities": ["text", "audio"],
        **GENERATION,
    },
    Route.COMPLETIONS: GENERATION,
}
"""Standard parameters with valid values that ask for something: a model without them must refuse."""


def body(route: Route, capabilities: Mapping[str, Any]) -> Body:
    """Something small that a model serving the route answers."""
    few = {"max_tokens": 8} if capabilities.get("max_tokens", {}).get("supported") else {}
    bodies: Mapping[Route, Body] = {
        Route.CHAT: {"messages": [{"role": "user", "content": "Hello!"}], **few},
        Route.COMPLETIONS: {"prompt": "Hello", **few},
        Route.EMBEDDINGS: {"input": ["a cat", "a kitten"]},
        Route.IMAGE_EMBEDDINGS: {"input": [{"image": picture()}]},
    }
    return bodies[route]


def undeclared(route: Route, capabilities: Mapping[str, Any]) -> Body:
    """A parameter that the model says it does not take; empty where it takes all there are."""
    if route in STANDARD:
        for name, value in STANDARD[route].items():
            if name in capabilities and not capabilities[name]["supported"]:
                return {name: value}
        return {}
    return {"dimensions": max(capabilities.get("dimensions", {}).get("values") or [0]) + 1}


def picture(edge: int = 32) -> str:
    """A red square as the data URL of a PNG, made without a library for pictures."""
    header = struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\xff\0\0" * edge) * edge)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
    file = SIGNATURE + chunks
    return f"data:image/png;base64,{b64encode(file).decode()}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


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
    for route in (Route(path.strip("/")) for path in model["routes"] if path.strip("/") in ROUTES):
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
