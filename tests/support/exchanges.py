"""HTTP requests and exchanges without a host, for tests of the stages behind one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from inference.api.http_types import HttpRequest, resolve
from inference.errors import RequestTooLarge
from inference.pipeline.exchange import Exchange
from inference.telemetry.request_log import RequestTrace


def http_request(
    path: str,
    body: Any = None,
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> HttpRequest:
    """Return a request whose client stays; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def read(most: int) -> bytes:
        if len(content) > most:
            raise RequestTooLarge(f"The body is larger than {most} bytes.")
        return content

    async def gone() -> bool:
        return False

    return HttpRequest(method, f"/{path}", resolve(path), dict(headers or {}), dict(query or {}), read, gone)


def exchange_of(http: HttpRequest) -> Exchange:
    """Return the exchange of a request at its start."""
    return Exchange(http, RequestTrace.start(http.method, http.path, http.headers))
