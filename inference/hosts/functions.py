"""The Azure Functions host: its requests are handed to the service, which is made once a process."""

from __future__ import annotations

import asyncio
import logging
import os
from asyncio import CancelledError
from collections.abc import AsyncGenerator
from functools import cache
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from azurefunctions.extensions.http.fastapi import Request, Response
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.responses import StreamingResponse

from inference.cancellation import cancel, finish

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from inference.api.http_types import HttpRequest, HttpResponse
    from inference.service import Service

# The worker runs uvicorn, whose access log would repeat the request log. A filter outlives the logging
# configuration that uvicorn applies when it starts.
logging.getLogger("uvicorn.access").addFilter(lambda record: False)  # noqa: ARG005
# A stream that fails is aborted by an exception on purpose, and has been logged by then.
logging.getLogger("uvicorn.error").addFilter(lambda record: not _is_stream_broken(record))


class WholePath(PathConvertor):
    """Any path, one with line breaks included."""

    regex = "(?s:.*)"


# The worker's server has one route, `/{path:path}`. With Starlette's own pattern a path with `%0A` would not
# match it, and the invocation would wait for its request for ever.
register_url_convertor("path", WholePath())

log = logging.getLogger(__name__)

_service_lock = Lock()

ENVIRONMENT = "AZURE_FUNCTIONS_ENVIRONMENT"
"""Variable that is `Development` under Core Tools, and in the local host on a loopback address: only this
machine can send requests."""


def _is_stream_broken(record: logging.LogRecord) -> bool:
    """Return True if a record is about a stream that was aborted on purpose, or cancelled by a shutdown."""
    if not record.exc_info:
        return False
    from inference.api.http_types import StreamBroken

    return isinstance(record.exc_info[1], StreamBroken | CancelledError)


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
    from inference.pipeline.shutdown import drain_on_signals

    served = service()
    drain_on_signals(served.shutdown)
    return _response(await served.answer(_http_request(request, path, served.settings.body_seconds)))


def _http_request(request: Request, path: str, body_seconds: float) -> HttpRequest:
    from inference.api.http_types import HttpRequest, fold, resolve
    from inference.hosts.request_body import read_body

    was_read = False

    async def read(max_bytes: int) -> bytes:
        nonlocal was_read
        body = await read_body(request, max_bytes, body_seconds)
        was_read = True
        return body

    async def gone() -> bool:
        # Before the body was read, to look for the client would take a piece of it.
        return was_read and await request.is_disconnected()

    return HttpRequest(
        method=request.method,
        path=fold(path),
        target=resolve(path),
        headers=dict(request.headers.items()),
        query=dict(request.query_params.items()),
        read=read,
        gone=gone,
    )


class ClosingResponse(StreamingResponse):
    """A streamed response that closes its body at its end: read to its end, left, or never begun.

    Starlette's own cancels the body again and again when the client hangs up, and closes none.
    """

    def __init__(self, body: AsyncGenerator[bytes, None], **options: Any) -> None:
        super().__init__(body, **options)
        self._body = body

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send the body until its end or the client's; raise the error of the body."""
        sending = asyncio.create_task(self.stream_response(send))
        watching = asyncio.create_task(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait({sending, watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await finish(self._close(sending, watching))
        if not sending.cancelled():
            sending.result()

    async def _close(self, *tasks: asyncio.Task[None]) -> None:
        await cancel(*tasks)
        await self._body.aclose()


def _response(response: HttpResponse) -> Response:
    options: dict[str, Any] = {
        "status_code": response.status,
        "media_type": response.media_type or None,
        "headers": dict(response.headers),
    }
    if isinstance(response.body, bytes):
        return Response(response.body, **options)
    return ClosingResponse(response.body, **options)
