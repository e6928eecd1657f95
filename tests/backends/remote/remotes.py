"""Deployments elsewhere, and what they say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from inference.backends.remote import RemoteEndpoint
from inference.cards.card import Card
from inference.contracts import Event, Events, ProxyRequest, Route, Text
from tests.backends.remote.upstream import Fake, Script, upstream

MESSAGES = [{"role": "user", "content": "Hello!"}]
VERSION = "2024-05-01-preview"


def card_of(url: str = "https://there.example", dialect: str = "azure-ai-inference", **rest: Any) -> Card:
    """A card; what belongs to its `remote` part is told by name."""
    parts = ("model", "api_version", "key_setting", "identity_scope", "timeout_seconds", "connect_seconds")
    more = (*parts, "retries", "connections", "stream_usage")
    where = {name: rest.pop(name) for name in more if name in rest}
    remote = {"url": url, "dialect": dialect, "model": "theirs", **where}
    whole = {"name": "far", "provider": "tests", "type": "chat-completions", "backend": "remote"}
    return Card.model_validate({**whole, "remote": remote, **rest})


def asked(route: Route = Route.CHAT, *, choices: int = 1, stream: bool = False, **body: Any) -> ProxyRequest:
    subject: dict[str, Any] = {"messages": MESSAGES} if route is Route.CHAT else {}
    headers = {"x-ms-client-request-id": "our-id"}
    return ProxyRequest(route, {**subject, **body}, VERSION, choices, stream, headers)


@asynccontextmanager
async def far(*scripts: Script, **card: Any) -> AsyncIterator[tuple[RemoteEndpoint, Fake]]:
    """A deployment whose endpoint follows the scripts."""
    async with upstream(*scripts) as fake:
        endpoint = RemoteEndpoint(card_of(fake.url, **card))
        try:
            yield endpoint, fake
        finally:
            await endpoint.aclose()


async def everything(events: Events) -> list[Event]:
    return [event async for event in events]


async def said(endpoint: RemoteEndpoint, request: ProxyRequest) -> list[Event]:
    (events,) = endpoint.generate(request)
    return await everything(events)


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))
