"""A deployment that lives elsewhere: another instance of this app, an Azure OpenAI, or any server compatible
with OpenAI's. It is asked as the caller asked us, and its answer becomes the events that a model here would
give: what follows (the content filter, both dialects, ids, headers) is the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from inference.backends.loaded_models import RemoteDeployment
from inference.backends.remote.credential import Credential
from inference.backends.remote.fan_out import fan
from inference.backends.remote.request_body import translate
from inference.backends.remote.response_events import Placed, streamed, whole
from inference.backends.remote.response_vectors import vectors
from inference.backends.remote.transport import Transport
from inference.cards.card import Card
from inference.contracts import Embeddings, Events, ProxyRequest

if TYPE_CHECKING:
    from inference.cards.card import Deployment
    from inference.settings import Settings


def open(deployment: Deployment, _: Settings) -> RemoteDeployment:  # noqa: A001 - the name that every backend has
    """Asks nothing of the endpoint yet. Raises `CardError` when the key's setting is empty."""
    return RemoteDeployment(endpoint=RemoteEndpoint(deployment.card))


class RemoteEndpoint:
    """An `RemoteModel` over HTTP."""

    def __init__(self, card: Card, credential: Credential | None = None) -> None:
        assert card.remote is not None
        self._card = card
        self._transport = Transport(card.remote, card.name, credential or Credential(card.remote, card.name))

    def generate(self, request: ProxyRequest) -> list[Events]:
        """Whole answers are asked for whole, so that the endpoint treats them as such; streams as streams."""
        return fan(lambda: self._exchange(request), request.choices)

    async def embed(self, request: ProxyRequest) -> Embeddings:
        """`request.choices` counts the inputs."""
        answer = await self._transport.whole(request, *translate(request, self._card))
        native = self._card.embedding.dimensions
        return await asyncio.to_thread(vectors, answer, request.choices, native, self._card.name)

    async def aclose(self) -> None:
        await self._transport.aclose()

    def close(self) -> None:
        self._transport.close()

    async def _exchange(self, request: ProxyRequest) -> AsyncGenerator[Placed, None]:
        body, headers = translate(request, self._card)
        if not request.stream:
            answer = await self._transport.whole(request, body, headers)
            for placed in whole(answer, request, self._card.name):
                yield placed
            return
        async with self._transport.answer(request, body, headers) as pieces:
            events = streamed(pieces, request, self._card.name)
            try:
                async for placed in events:
                    yield placed
            finally:
                await events.aclose()
