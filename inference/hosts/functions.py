"""Between the Functions host's request and response objects and the service's."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator
from functools import cache
from threading import Lock, Thread
from typing import TYPE_CHECKING

from azurefunctions.extensions.http.fastapi import Request, Response, StreamingResponse

if TYPE_CHECKING:
    from inference.api.http_types import HttpRequest, HttpResponse
    from inference.service import Service

# The worker runs uvicorn, whose access log would repeat every request beside ours. A filter outlives the
# logging configuration that uvicorn applies when it starts.
logging.getLogger("uvicorn.access").addFilter(lambda record: False)  # noqa: ARG005
# A stream that failed is cut by an exception on purpose, after its own line in the log.
logging.getLogger("uvicorn.error").addFilter(lambda record: not _is_cut(record))

log = logging.getLogger(__name__)

_making = Lock()

ENVIRONMENT = "AZURE_FUNCTIONS_ENVIRONMENT"
"""`Development` under Core Tools and our own host on a loopback address: only this machine can call."""


def _is_cut(record: logging.LogRecord) -> bool:
    if not record.exc_info:
        return False
    from inference.api.sse import StreamBroken

    return isinstance(record.exc_info[1], StreamBroken)


def begin() -> None:
    """Makes the service beside the start of the process where something has to be fetched for it.

    Otherwise it is made when the first request comes. Nothing waits here, and nothing is raised.
    """
    if "://" in os.environ.get("INFERENCE_MODELS", ""):
        Thread(target=_begin, name="begin", daemon=True).start()


def _begin() -> None:
    from inference.settings import InvalidSetting

    try:
        service()
    except InvalidSetting as error:
        log.error("%s", error)  # every request is going to fail with it as well


def service() -> Service:
    """The one service of this process."""
    with _making:
        return _service()


def is_made() -> bool:
    """Whether anything made the service."""
    return bool(_service.cache_info().currsize)


@cache
def _service() -> Service:
    from inference.auth.authority import Authority
    from inference.registry.registry import Registry
    from inference.service import Service
    from inference.settings import Settings

    settings = Settings.from_environment()
    loopback = os.environ.get(ENVIRONMENT) == "Development"
    registry = Registry(settings)
    try:
        return Service(settings, registry, Authority.from_settings(settings, loopback=loopback))
    except BaseException:
        registry.close()
        raise


async def respond(request: Request, path: str) -> Response:
    """Answers a request; `path` is what follows the app's root."""
    return _response(await service().answer(_call(request, path)))


def _call(request: Request, path: str) -> HttpRequest:
    from inference.api.http_types import HttpRequest
    from inference.api.paths import resolve

    async def read(most: int) -> bytes:
        return await _read(request, most)

    return HttpRequest(
        method=request.method,
        path="/" + path.strip("/"),
        target=resolve(path),
        headers=dict(request.headers.items()),
        query=dict(request.query_params.items()),
        read=read,
        gone=request.is_disconnected,
    )


async def _read(request: Request, most: int) -> bytes:
    """The body; a body that is too large is refused by its declared length, or as soon as it shows."""
    from inference.errors import RequestTooLarge

    declared = request.headers.get("content-length", "")
    body = bytearray()
    if not (declared.isdecimal() and int(declared) > most):
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                break
        else:
            return bytes(body)
    raise RequestTooLarge(f"The body is larger than {most} bytes, the most this endpoint takes.")


def _response(answer: HttpResponse) -> Response:
    headers = dict(answer.headers)
    if isinstance(answer.body, AsyncGenerator):
        return StreamingResponse(
            answer.body, status_code=answer.status, media_type=answer.media_type, headers=headers
        )
    return Response(answer.body, status_code=answer.status, media_type=answer.media_type, headers=headers)
