"""The Azure Functions host: its requests are handed to the service, which is made once a process."""

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

# The worker runs uvicorn, whose access log would repeat the request log. A filter outlives the logging
# configuration that uvicorn applies when it starts.
logging.getLogger("uvicorn.access").addFilter(lambda record: False)  # noqa: ARG005
# A stream that fails is aborted by an exception on purpose, and has been logged by then.
logging.getLogger("uvicorn.error").addFilter(lambda record: not _is_stream_broken(record))

log = logging.getLogger(__name__)

_service_lock = Lock()

ENVIRONMENT = "AZURE_FUNCTIONS_ENVIRONMENT"
"""Variable that is `Development` under Core Tools, and in the local host on a loopback address: only this
machine can send requests."""


def _is_stream_broken(record: logging.LogRecord) -> bool:
    """Return True if a record is about a stream that was aborted on purpose."""
    if not record.exc_info:
        return False
    from inference.api.http_types import StreamBroken

    return isinstance(record.exc_info[1], StreamBroken)


def start_downloads() -> None:
    """Make the service in a background thread if it has deployments to download.

    Otherwise the first request makes it. Returns at once and raises nothing.
    """
    if "://" in os.environ.get("INFERENCE_MODELS", ""):
        Thread(target=_make_service, name="make-service", daemon=True).start()


def _make_service() -> None:
    from inference.settings import InvalidSetting

    try:
        service()
    except InvalidSetting as error:
        log.error("%s", error)  # each request will fail with it as well


def service() -> Service:
    """Return the service of this process, which the first call makes. Raises `InvalidSetting`."""
    with _service_lock:
        return _service()


def has_service() -> bool:
    """Return True if the service has been made."""
    return bool(_service.cache_info().currsize)


@cache
def _service() -> Service:
    from inference.auth.authority import Authenticator
    from inference.registry.registry import Registry
    from inference.service import Service
    from inference.settings import Settings

    settings = Settings.from_environment()
    loopback = os.environ.get(ENVIRONMENT) == "Development"
    registry = Registry(settings)
    try:
        return Service(settings, registry, Authenticator.from_settings(settings, loopback=loopback))
    except BaseException:
        registry.close()
        raise


async def respond(request: Request, path: str) -> Response:
    """Return the response to a request; `path` follows the app's root."""
    return _response(await service().answer(_http_request(request, path)))


def _http_request(request: Request, path: str) -> HttpRequest:
    from inference.api.http_types import HttpRequest, resolve

    async def read(max_bytes: int) -> bytes:
        return await _read_body(request, max_bytes)

    return HttpRequest(
        method=request.method,
        path="/" + path.strip("/"),
        target=resolve(path),
        headers=dict(request.headers.items()),
        query=dict(request.query_params.items()),
        read=read,
        gone=request.is_disconnected,
    )


async def _read_body(request: Request, max_bytes: int) -> bytes:
    """Return the body of a request.

    Raises `RequestTooLarge` before reading if the declared length is too large, else once too much has come.
    """
    from inference.errors import RequestTooLarge

    declared = request.headers.get("content-length", "")
    body = bytearray()
    if not (declared.isdecimal() and int(declared) > max_bytes):
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                break
        else:
            return bytes(body)
    raise RequestTooLarge(f"The body is larger than {max_bytes} bytes, the limit of this endpoint.")


def _response(response: HttpResponse) -> Response:
    kind = StreamingResponse if isinstance(response.body, AsyncGenerator) else Response
    return kind(
        response.body,
        status_code=response.status,
        media_type=response.media_type,
        headers=dict(response.headers),
    )
