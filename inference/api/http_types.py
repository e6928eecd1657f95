"""HTTP requests and responses between a host and the service, free of any framework's types."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from inference.api.error_body import body_of, code_of, status_of
from inference.api.routes import OTHER_PATHS, ROUTES
from inference.contracts import ApiStyle, Route
from inference.errors import (
    ApiError,
    MethodNotAllowed,
    MissingApiVersion,
    NotFound,
    Offender,
    ResourceNotFound,
    UnsupportedApiVersion,
)

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
SAFE_HEADERS: Mapping[str, str] = {"X-Content-Type-Options": "nosniff"}
"""Headers of every answer: no browser may take an answer for a page."""
NOT_STORED: Mapping[str, str] = {"Cache-Control": "no-store"}
"""Headers of every answer with content, which is of one caller and of one moment."""
LONGEST_HEADER = 5_000
"""Characters of a header's value; clients refuse headers of some ten thousand."""
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One HTTP request. Header names are in lower case; the path has single slashes."""

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

    def __post_init__(self) -> None:
        """Make every header a valid one: names and codes in them may come from callers and upstreams."""
        headers = {name: header_value(value) for name, value in self.headers.items()}
        object.__setattr__(self, "headers", headers)


def header_value(text: str) -> str:
    """Return a text as a header's value: printable ASCII, others percent-encoded, of bounded length."""
    value = quote(text[:LONGEST_HEADER], safe=PRINTABLE, errors="replace").strip()
    return value[:LONGEST_HEADER]


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


def sse_named_event(body: dict[str, Any]) -> bytes:
    """Return a body as an event under the name of its type."""
    return b"event: " + str(body["type"]).encode() + b"\ndata: " + orjson.dumps(body) + b"\n\n"


def sse_error(error: ApiError, style: ApiStyle) -> bytes:
    """Return the last event of a stream that failed; clients read `choices` of every chunk."""
    nested = body_of(error, style)["error"]
    if style is ApiStyle.NATIVE:
        nested = {"code": nested["code"], "message": nested["message"]}
    return sse_event({"error": nested, "choices": []})


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a path; `route` is None where there is none.

    `item` is the name in `/models/{name}`, or the id in `/responses/{response_id}` and below it.
    """

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

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that the route answers; none where the path has no route in its style."""
        row = ROUTES.get(self.route) if self.route is not None else None
        if row is None or self.style not in row.styles:
            return ()
        if row.method == "POST":
            return (row.method, "OPTIONS")
        return (row.method, "HEAD", "DELETE", "OPTIONS") if row.deletes else (row.method, "HEAD", "OPTIONS")


BASES: tuple[tuple[tuple[str, ...], ApiStyle], ...] = (
    (("api", "projects", "{project}", "openai", "v1"), ApiStyle.OPENAI),
    (("openai", "deployments", "{name}"), ApiStyle.OPENAI),
    (("openai", "v1"), ApiStyle.OPENAI),
    (("openai",), ApiStyle.OPENAI),
    (("deployments", "{name}", "v1"), ApiStyle.OPENAI),
    (("deployments", "{name}"), ApiStyle.NATIVE),
    (("v1",), ApiStyle.OPENAI),
    (("models",), ApiStyle.NATIVE),
    ((), ApiStyle.NATIVE),
)
"""Base paths, the longer before those they begin with. `{name}` is a deployment, `{project}` any word."""
USUAL_BASES: Mapping[ApiStyle, str] = {ApiStyle.NATIVE: "/", ApiStyle.OPENAI: "/openai/v1/"}
"""The base path of each style that messages show."""
LONGEST_PATH = 200
"""Characters of a path that a message repeats."""


def fold(path: str) -> str:
    """Return a decoded path with one slash before every part: clients join bases and routes with two."""
    return "/" + "/".join(_parts(path))


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)


def resolve(path: str) -> Target:
    """Return the target of a decoded path; slashes around it and doubled ones count for nothing."""
    parts = _parts(path)
    style = None
    for base, base_style in BASES:
        if not _matches(base, parts):
            continue
        style = style or base_style
        target = _target(parts[len(base) :], base_style, _name(base, parts))
        if target.route is not None:
            return target
    return Target(None, style or ApiStyle.NATIVE)


def _matches(base: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return len(parts) >= len(base) and all(
        word.startswith("{") or word == part.lower() for word, part in zip(base, parts, strict=False)
    )


def _name(base: tuple[str, ...], parts: tuple[str, ...]) -> str | None:
    return parts[base.index("{name}")] if "{name}" in base else None


def _target(rest: tuple[str, ...], style: ApiStyle, deployment: str | None) -> Target:
    row = ROUTES.get(Route(rest[0].lower())) if len(rest) == 2 else None
    if row is not None and row.item is not None:
        return Target(row.route, style, deployment, item=rest[1])
    path = "/".join(rest).lower()
    row = ROUTES.get(OTHER_PATHS.get(path, Route(path)))
    if row is None and len(rest) in (2, 3) and rest[0].lower() == Route.RESPONSES:
        return _response_target(rest, style, deployment)
    return Target(row.route if row else None, style, deployment)


NO_RESPONSES = ("compact", "{response_id}")
"""Words after `responses/` that are no ids: what is not served is no response that was not found either."""


def _response_target(rest: tuple[str, ...], style: ApiStyle, deployment: str | None) -> Target:
    row = ROUTES.get(Route("/".join(("responses", "{response_id}", *map(str.lower, rest[2:])))))
    if row is None or rest[1].lower() in NO_RESPONSES:
        return Target(None, style, deployment)
    return Target(row.route, style, deployment, item=rest[1])


def require_route(http: HttpRequest) -> Route:
    """Return the route of a request.

    Raises `NotFound` and `MethodNotAllowed` with the routes and the methods that there are, and
    `ResourceNotFound` for a route that another style has, in the words of Azure OpenAI.
    """
    target = http.target
    if target.route is None:
        path = http.path[:LONGEST_PATH]
        raise NotFound(f"Not Found: there is no {path}. {_listed_routes(target.style)}")
    if not target.methods:
        raise ResourceNotFound(f"Resource not found. {_other_paths(http)}{_listed_routes(target.style)}")
    if http.method not in target.methods:
        raise _wrong_method(http)
    return target.route


def _other_paths(http: HttpRequest) -> str:
    """Return a sentence about a route that the OpenAI paths alone have; nothing for others."""
    route = http.target.known_route
    if ApiStyle.NATIVE in ROUTES[route].styles:
        return ""
    return f"{USUAL_BASES[ApiStyle.OPENAI]}{route} is the path of this route. "


def _listed_routes(style: ApiStyle) -> str:
    rows = [row for row in ROUTES.values() if style in row.styles and "{" not in row.route]
    return "There are " + ", ".join(f"{row.method} {USUAL_BASES[style]}{row.route}" for row in rows) + "."


def _wrong_method(http: HttpRequest) -> MethodNotAllowed:
    """Return the refusal of a method that a route does not take, with those that it takes."""
    *others, last = http.target.methods
    message = f"{http.path[:LONGEST_PATH]} takes {', '.join(others)} and {last}, not {http.method}."
    return MethodNotAllowed(message, headers={"Allow": ", ".join(http.target.methods)})


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
    if text is None:
        if required:
            raise MissingApiVersion("The api-version query parameter (?api-version=) is required.")
        return PRESENT
    if not DATE.fullmatch(text):
        raise UnsupportedApiVersion(
            f"Unsupported api-version {text!r}: expected a date such as {PRESENT}.",
            offenders=[Offender(("query", PARAMETER), text, "expected YYYY-MM-DD or YYYY-MM-DD-preview")],
        )
    return text if text in (OLDEST, STABLE) else PRESENT
