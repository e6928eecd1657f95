"""HTTP requests and responses between a host and the service, free of any framework's types."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from inference.api.error_body import body_of
from inference.api.paths import Target
from inference.contracts import ApiStyle
from inference.errors import ApiError

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
    """Reads the body; raises `errors.RequestTooLarge` beyond the given number of bytes."""
    gone: Callable[[], Awaitable[bool]]
    """Returns True once the client has hung up."""

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
    """One HTTP response: a body, or the pieces of one."""

    status: int
    body: bytes | AsyncGenerator[bytes, None]
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(body: Any, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return 200 with JSON; numpy arrays are written as they are."""
    return HttpResponse(200, orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY), headers=headers or {})


def refusal_response(error: ApiError, style: ApiStyle) -> HttpResponse:
    """Return the response of a refusal, in the style of the API that was called."""
    body = orjson.dumps(body_of(error, openai=style is ApiStyle.OPENAI), default=str)
    return HttpResponse(error.status, body, headers={**error.headers, "x-ms-error-code": error.code})
