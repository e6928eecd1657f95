"""httpx as the asyncio transport of azure-core, which has none without a further dependency.

Imported together with the SDK alone.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import httpx
from azure.core.exceptions import (
    HttpResponseError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.core.utils import case_insensitive_dict

from inference.cancellation import finish
from inference.cancellation.connections import protect, reclaim


class HttpxTransport(AsyncHttpTransport[HttpRequest, AsyncHttpResponse]):
    """A transport of whole requests and whole responses."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = protect(client)

    async def send(self, request: HttpRequest, **options: Any) -> AsyncHttpResponse:
        """Send a request and read its response. Raises azure-core's errors, by which its policies retry."""
        try:
            return await self._send(request, **options)
        except BaseException:
            await finish(reclaim(self._client, httpx.URL(request.url)))
            raise

    async def _send(self, request: HttpRequest, **options: Any) -> AsyncHttpResponse:
        connect, read = options.get("connection_timeout"), options.get("read_timeout")
        try:
            response = await self._client.request(
                request.method,
                request.url,
                content=request.content,
                headers=dict(request.headers),
                timeout=httpx.Timeout(read, connect=connect, pool=connect),
                follow_redirects=False,
            )
        except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ServiceRequestTimeoutError(str(error), error=error) from error
        except httpx.TimeoutException as error:
            raise ServiceResponseTimeoutError(str(error), error=error) from error
        except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.ProxyError) as error:
            raise ServiceRequestError(str(error), error=error) from error
        except Exception as error:
            # Not only httpx's: those of ssl, anyio and h2 pass through it, such as that of a bad TLS record.
            raise ServiceResponseError(str(error), error=error) from error
        return HttpxResponse(request, response)

    async def open(self) -> None:
        """Do nothing: the client is open already."""

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def __aenter__(self) -> HttpxTransport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class HttpxResponse(AsyncHttpResponse):
    """A response that was read to its end."""

    is_closed = True
    is_stream_consumed = True

    def __init__(self, request: HttpRequest, response: httpx.Response) -> None:
        self._request = request
        self._response = response
        self._headers = case_insensitive_dict(response.headers)
        self._encoding = response.encoding

    @property
    def request(self) -> HttpRequest:
        return self._request

    @property
    def status_code(self) -> int:
        return self._response.status_code

    @property
    def headers(self) -> MutableMapping[str, str]:
        return self._headers

    @property
    def reason(self) -> str:
        return self._response.reason_phrase

    @property
    def content_type(self) -> str | None:
        return self._headers.get("content-type")

    @property
    def encoding(self) -> str | None:
        return self._encoding

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        self._encoding = value

    @property
    def url(self) -> str:
        return str(self._response.url)

    @property
    def content(self) -> bytes:
        return self._response.content

    def text(self, encoding: str | None = None) -> str:
        return self.content.decode(encoding or self._encoding or "utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.text())

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise HttpResponseError(response=self)

    async def read(self) -> bytes:
        return self.content

    async def iter_raw(self, **_: Any) -> AsyncIterator[bytes]:
        yield self.content

    async def iter_bytes(self, **_: Any) -> AsyncIterator[bytes]:
        yield self.content

    async def close(self) -> None:
        """Do nothing: no connection is held."""

    async def __aexit__(self, *_: object) -> None:
        await self.close()
