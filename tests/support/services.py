"""A service in this process, and requests to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inference.auth.authority import Authenticator
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import Settings
from tests.support.exchanges import http_request


def service_of(models: Path, **settings: Any) -> Service:
    """Return a service over a folder of deployments, which keeps responses in memory."""
    made = Settings(**{"models": (models,), "threads": 1, "responses": "memory", **settings})
    return Service(made, Registry(made), Authenticator.from_settings(made, loopback=True))


async def request(
    service: Service,
    path: str,
    body: Any = None,
    *,
    method: str = "POST",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    """Return the status and the JSON of an answer, or the bytes of a stream."""
    answer = await service.answer(http_request(path, body, method=method, headers=headers, query=query))
    if isinstance(answer.body, bytes):
        return answer.status, json.loads(answer.body) if answer.body else None
    return answer.status, b"".join([piece async for piece in answer.body])
