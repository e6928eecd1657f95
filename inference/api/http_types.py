"""HTTP requests and responses between a host and the service, free of any framework's types."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from inference.api.error_body import body_of, code_of, status_of
from inference.api.routes import ROUTES
from inference.contracts import ApiStyle, Route
from inference.errors import ApiError, MissingApiVersion, NotFound, Offender, UnsupportedApiVersion

JSON = "application/json"
EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One HTTP request. Header names are in lower case."""

    method: str
    path: str
    target: Target
    headers: Mapping[str, str]
    query: Mapping[str, str]
    read: Callable[[int], Awaitable[bytes]]
    """Reads the body; raises `errors.RequestTooLarge` beyond the given number of bytes, and `ClientGone`."""
    gone: Callable[[], Awaitable[bool]]
    """Returns True once the body was read and the client has hung up."""

    @property
    def fixed_deployment(self) -> str | None:
        """The deployment that the path, else a header, names."""
        return (
            self.target.deployment
            or self.headers.get("azureml-model-deployment")
            or self.headers.get("x-ms-model-mesh-model-name")
        )


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One HTTP response: a body, or the pieces of one.

    The host closes the pieces in any case, read to their end, in part or not at all: that ends the request.
    """

    status: int
    body: bytes | AsyncGenerator[bytes, None]
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(body: Any, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return 200 with JSON; numpy arrays are written as they are."""
    return HttpResponse(200, orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY), headers=headers or {})


def refusal_response(error: ApiError, style: ApiStyle) -> HttpResponse:
    """Return the response of a refusal, in the style of the API that was called."""
    body = orjson.dumps(body_of(error, style), default=str)
    headers = {**error.headers, "x-ms-error-code": code_of(error, style)}
    return HttpResponse(status_of(error, style), body, headers=headers)


DONE = b"data: [DONE]\n\n"


class ClientGone(Exception):
    """The client hung up before its response started."""


class StreamBroken(Exception):
    """A stream that failed after an error chunk was sent.

    Raised inside a response body, it makes the server cut the connection, which is the only sign of failure
    that every client understands once the status is out.
    """


def sse_event(body: dict[str, Any]) -> bytes:
    """Return a body as an event."""
    return b"data: " + orjson.dumps(body) + b"\n\n"


def sse_error(error: ApiError, style: ApiStyle) -> bytes:
    """Return the last event of a stream that failed; clients read `choices` of every chunk."""
    nested = body_of(error, style)["error"]
    if style is ApiStyle.NATIVE:
        nested = {"code": nested["code"], "message": nested["message"]}
    return sse_event({"error": nested, "choices": []})


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a path; `route` is None where there is none, `item` the name in `/models/{name}`."""

    route: Route | None
    style: ApiStyle = ApiStyle.NATIVE
    deployment: str | None = None
    item: str | None = None

    @property
    def known_route(self) -> Route:
        """The route. Raises `NotFound` where the path has none."""
        if self.route is None:
            raise NotFound("Not Found: there is no such route.")
        return self.route


BASES: tuple[tuple[tuple[str, ...], ApiStyle], ...] = (
    (("openai", "deployments", "{name}"), ApiStyle.OPENAI),
    (("openai", "v1"), ApiStyle.OPENAI),
    (("openai",), ApiStyle.OPENAI),
    (("deployments", "{name}", "v1"), ApiStyle.OPENAI),
    (("deployments", "{name}"), ApiStyle.NATIVE),
    (("v1",), ApiStyle.OPENAI),
    (("models",), ApiStyle.NATIVE),
    ((), ApiStyle.NATIVE),
)
"""Base paths, the longer before those they begin with."""


def resolve(path: str) -> Target:
    """Return the target of a decoded path, with or without slashes around it."""
    parts = tuple(path.strip("/").split("/"))
    for base, style in BASES:
        rest = parts[len(base) :]
        if not _matches(base, parts):
            continue
        target = _target(rest, style, _name(base, parts))
        if target.route is not None:
            return target
    return Target(None, ApiStyle.OPENAI if parts[0].lower() in ("openai", "v1") else ApiStyle.NATIVE)


def _matches(base: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return len(parts) > len(base) and all(
        word == "{name}" or word == part.lower() for word, part in zip(base, parts, strict=False)
    )


def _name(base: tuple[str, ...], parts: tuple[str, ...]) -> str | None:
    return parts[base.index("{name}")] if "{name}" in base else None


def _target(rest: tuple[str, ...], style: ApiStyle, deployment: str | None) -> Target:
    row = ROUTES.get(Route(rest[0].lower()))
    if row is not None and row.item is not None and len(rest) == 2:
        return Target(row.route, style, deployment, item=rest[1])
    row = ROUTES.get(Route("/".join(rest).lower()))
    return Target(row.route if row else None, style, deployment)


PARAMETER = "api-version"
PRESENT = "2024-05-01-preview"
"""The version of a request without one, or with another date: the one that the official clients send."""
OLDEST = "2024-04-01-preview"
STABLE = "2025-04-01"
DATE = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")


def version_of(query: Mapping[str, str], style: ApiStyle, *, required: bool) -> str:
    """Return the version to behave as; `openai` under the OpenAI paths, which have no versions.

    Any date is taken, because clients of Azure OpenAI send its dates on these routes. Raises
    `MissingApiVersion` where the operator requires one, `UnsupportedApiVersion` for a value that is no date.
    """
    if style is ApiStyle.OPENAI:
        return ApiStyle.OPENAI
    text = query.get(PARAMETER)
    if not text:
        if required:
            raise MissingApiVersion("The api-version query parameter (?api-version=) is required.")
        return PRESENT
    if not DATE.fullmatch(text):
        raise UnsupportedApiVersion(
            f"Unsupported api-version {text!r}: expected a date such as {PRESENT}.",
            offenders=[Offender(("query", PARAMETER), text, "expected YYYY-MM-DD or YYYY-MM-DD-preview")],
        )
    return text if text in (OLDEST, STABLE) else PRESENT
