"""The transport of the SDK for requests that are cancelled: its pool keeps every connection."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from azure.core.rest import HttpRequest

from inference.cancellation.connections import PatientBackend
from inference.safety.azure_transport import HttpxTransport
from tests.backends.remote.upstream import answering, upstream


@pytest.mark.parametrize("steps", range(6))
async def test_requests_that_are_cancelled_at_any_step_leave_the_only_connection_free(steps: int) -> None:
    limits = httpx.Limits(max_connections=1)
    async with upstream(answering({})) as fake:
        transport = HttpxTransport(httpx.AsyncClient(limits=limits, timeout=1, trust_env=False))
        options = {"connection_timeout": 1, "read_timeout": 1}
        requests = [
            asyncio.create_task(transport.send(HttpRequest("GET", fake.url), **options)) for _ in range(2)
        ]
        for _ in range(steps):
            await asyncio.sleep(0)
        for request in requests:
            request.cancel()
        await asyncio.wait(requests)
        assert (await transport.send(HttpRequest("GET", fake.url), **options)).status_code == 200
        await transport.close()


async def test_its_connections_are_made_to_their_end() -> None:
    client = httpx.AsyncClient(trust_env=False)
    await HttpxTransport(client).close()
    assert isinstance(client._transport._pool._network_backend, PatientBackend)  # type: ignore[attr-defined]
