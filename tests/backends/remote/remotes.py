"""Remote deployments, requests to them, and their events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from inference.backends.remote.endpoint import RemoteEndpoint
from inference.cards.card import Card
from inference.contracts import Event, Events, ProxyRequest, Route, Text
from tests.backends.remote.upstream import FakeEndpoint, Script, upstream

MESSAGES = [{"role": "user", "content": "Hello!"}]
VERSION = "2024-05-01-preview"


def card_of(url: str = "https://there.example", dialect: str = "azure-ai-inference", **rest: Any) -> Card:
    """Return a card; the options of its `remote` part are recognised by name."""
    credentials = ("model", "api_version", "key_setting", "identity_scope")
    limits = ("timeout_seconds", "connect_seconds", "retries", "connections", "stream_usage")
    remote_part = {name: rest.pop(name) for name in (*credentials, *limits) if name in rest}
    remote = {"url": url, "dialect": dialect, "model": "theirs", **remote_part}
    whole = {"name": "far", "provider": "tests", "type": "chat-completions", "backend": "remote"}
    return Card.model_validate({**whole, "remote": remote, **rest})


def proxy_request(
    route: Route = Route.CHAT, *, choices: int = 1, stream: bool = False, **body: Any
) -> ProxyRequest:
    content: dict[str, Any] = {"messages": MESSAGES} if route is Route.CHAT else {}
    headers = {"x-ms-client-request-id": "our-id"}
    return ProxyRequest(route, {**content, **body}, VERSION, choices, stream, headers)


@asynccontextmanager
async def remote_endpoint(
    *scripts: Script, **card: Any
) -> AsyncIterator[tuple[RemoteEndpoint, FakeEndpoint]]:
    """Yield a deployment whose endpoint follows the scripts, and that endpoint."""
    async with upstream(*scripts) as fake:
        endpoint = RemoteEndpoint(card_of(fake.url, **card))
        try:
            yield endpoint, fake
        finally:
            await endpoint.aclose()


async def drain(events: Events) -> list[Event]:
    """Return all events of a stream."""
    return [event async for event in events]


async def collect(endpoint: RemoteEndpoint, request: ProxyRequest) -> list[Event]:
    """Return the events of the single choice of a request."""
    (events,) = endpoint.generate(request)
    return await drain(events)


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))
