"""The model behind an endpoint: its responses become the events that a local model would give.

The stages after the events (content filter, API styles, ids, headers) are the same for both kinds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from inference.backends.loaded_models import RemoteDeployment
from inference.backends.remote.credential import Credential
from inference.backends.remote.fan_out import fan_out
from inference.backends.remote.request_body import build_request
from inference.backends.remote.response_events import ChoiceEvent, parse_response, parse_stream
from inference.backends.remote.response_vectors import parse_vectors
from inference.backends.remote.transport import Transport
from inference.cards.card import Card
from inference.contracts import Embeddings, Events, ProxyRequest

if TYPE_CHECKING:
    from inference.cards.card import Deployment
    from inference.settings import Settings


def open(deployment: Deployment, _: Settings) -> RemoteDeployment:  # noqa: A001  the backends' common name
    """Return the card's endpoint, without a request to it. Raises `CardError` for an empty key setting."""
    return RemoteDeployment(endpoint=RemoteEndpoint(deployment.card))


class RemoteEndpoint:
    """A `RemoteModel` over HTTP."""

    def __init__(self, card: Card, credential: Credential | None = None) -> None:
        assert card.remote is not None
        self._card = card
        self._transport = Transport(card.remote, card.name, credential or Credential(card.remote, card.name))

    def generate(self, request: ProxyRequest) -> list[Events]:
        """Return the events of every choice, by one exchange.

        The endpoint streams only if the caller's request does: it may treat whole responses otherwise.
        """
        return fan_out(lambda: self._exchange(request), request.choices)

    async def embed(self, request: ProxyRequest) -> Embeddings:
        """Return one row an input, in order; `request.choices` is the number of inputs."""
        response = await self._transport.fetch(request, *build_request(request, self._card))
        dimensions = self._card.embedding.dimensions
        return await asyncio.to_thread(parse_vectors, response, request.choices, dimensions, self._card.name)

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        await self._transport.aclose()

    def close(self) -> None:
        """Close the connections of every running event loop, soon."""
        self._transport.close()

    async def _exchange(self, request: ProxyRequest) -> AsyncGenerator[ChoiceEvent, None]:
        body, headers = build_request(request, self._card)
        if not request.stream:
            response = await self._transport.fetch(request, body, headers)
            for event in parse_response(response, request, self._card.name):
                yield event
            return
        async with self._transport.stream(request, body, headers) as chunks:
            events = parse_stream(chunks, request, self._card.name)
            try:
                async for event in events:
                    yield event
            finally:
                await events.aclose()
