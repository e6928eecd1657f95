"""An endpoint as a remote model: one exchange feeds all choices of a request.

A single choice iterates over the exchange itself. Of several, the first to be iterated starts a task that
reads the exchange and queues each event for its choice. Each queue holds at most `QUEUE_SIZE` events; when
one is full, reading stops until its choice takes the next, so the slowest choice holds up the others and
memory stays bounded. A closed choice is no longer waited for; when every choice that started has closed, the
exchange is cancelled. The choices must be iterated concurrently.
"""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64decode
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeAlias

from inference.backends.loaded_models import RemoteDeployment
from inference.backends.remote.credential import Credential
from inference.backends.remote.request_body import build_request
from inference.backends.remote.response_events import ChoiceEvent, parse_response, parse_stream, token_count
from inference.backends.remote.transport import Transport
from inference.backends.remote.upstream_errors import malformed_response
from inference.cancellation import cancel
from inference.cards.card import Card
from inference.contracts import Embeddings, Event, Events, ProxyRequest, Ranking
from inference.errors import UpstreamError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from inference.cards.card import Deployment
    from inference.contracts import Vectors
    from inference.settings import Settings

Exchange: TypeAlias = Callable[[], AsyncGenerator[ChoiceEvent, None]]
"""A function that starts the exchange and returns its events."""

QUEUE_SIZE = 64
"""Events of one choice that wait to be taken."""


def fan_out(exchange: Exchange, choices: int) -> list[Events]:
    """Return the events of every choice; each stream raises the errors of the exchange."""
    if choices == 1:
        return [_single(exchange)]
    shared = _SharedExchange(exchange, choices)
    return [shared.choice(index) for index in range(choices)]


async def _single(exchange: Exchange) -> Events:
    async with aclosing(exchange()) as events:
        async for _, event in events:
            yield event


Item: TypeAlias = Event | BaseException | None
"""An event, the error that ended the exchange, or None for its regular end."""


class _SharedExchange:
    """One exchange, read by a task into a queue for each choice."""

    def __init__(self, exchange: Exchange, choices: int) -> None:
        self._exchange = exchange
        self._queues: list[asyncio.Queue[Item]] = [asyncio.Queue(QUEUE_SIZE) for _ in range(choices)]
        self._active: set[int] = set()
        self._closed: set[int] = set()
        self._reader: asyncio.Task[None] | None = None

    async def choice(self, index: int) -> Events:
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        elif self._reader.cancelled():
            raise UpstreamError("The request to the endpoint was cancelled before this choice was read.")
        queue = self._queues[index]
        self._active.add(index)
        try:
            while (item := await queue.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            await self._close(index)

    async def _close(self, index: int) -> None:
        self._active.discard(index)
        self._closed.add(index)
        queue = self._queues[index]
        while not queue.empty():
            queue.get_nowait()
        if not self._active and self._reader is not None:
            await cancel(self._reader)

    async def _read(self) -> None:
        end: Item = None
        try:
            async with aclosing(self._exchange()) as events:
                async for index, event in events:
                    await self._put(index, event)
        except Exception as error:  # noqa: BLE001  raised again by the stream of each choice
            end = error
        for index in range(len(self._queues)):
            await self._put(index, end)

    async def _put(self, index: int, item: Item) -> None:
        """Wait while the queue of a choice is full; items of a closed choice are dropped."""
        if index not in self._closed:
            await self._queues[index].put(item)


def parse_vectors(body: Any, inputs: int, dimensions: int | None, name: str) -> Embeddings:
    """Return float32 [inputs, dimensions], each row at its index. May take milliseconds.

    Args:
        body: The JSON of the response.
        inputs: The number of inputs.
        dimensions: The dimensions that the card declares, if it does.
        name: The deployment's name, for messages.

    Raises:
        UpstreamError: The body is malformed, a row is missing or of another length, or a number not finite.
    """
    import numpy as np

    rows = _parse_rows(body, name)
    if sorted(rows) != list(range(inputs)):
        raise malformed_response(name, f"{len(body['data'])} vectors for {inputs} inputs")
    sizes = {row.size for row in rows.values()}
    if len(sizes) != 1 or sizes == {0} or (dimensions is not None and sizes != {dimensions}):
        found = ", ".join(str(size) for size in sorted(sizes))
        raise malformed_response(name, f"vectors of {found} numbers, not of {dimensions or 'one length'}")
    vectors: Vectors = np.stack([rows[index] for index in range(inputs)])
    if not np.isfinite(vectors).all():
        raise malformed_response(name, "numbers that are not finite")
    usage = body["usage"] if isinstance(body.get("usage"), dict) else {}
    return Embeddings(
        vectors, token_count(usage.get("prompt_tokens")), token_count(usage.get("prompt_patches"))
    )


def parse_ranking(body: Any, documents: int, name: str) -> Ranking:
    """Return the indices and scores of a response, the best first: Cohere's and Jina's, or TEI's bare list.

    Raises `UpstreamError` for a response without scores of documents that were sent.
    """
    usage = (body.get("usage") or inner(body, "meta", "tokens")) if isinstance(body, dict) else {}
    rows = body.get("results") if isinstance(body, dict) else body
    scores: dict[int, float] = {}
    for row in rows if isinstance(rows, list) else [None]:
        index = row.get("index") if isinstance(row, dict) else None
        score = row.get("relevance_score", row.get("score")) if isinstance(row, dict) else None
        if not isinstance(index, int) or not 0 <= index < documents or not isinstance(score, int | float):
            raise malformed_response(name, "something other than a list of scores")
        scores[index] = float(score)
    tokens = usage.get("total_tokens", usage.get("input_tokens")) if isinstance(usage, dict) else None
    return Ranking(sorted(scores.items(), key=lambda item: -item[1]), token_count(tokens))


def inner(body: Any, *keys: str) -> Any:
    """Return a value in nested objects; an empty object where one of them is missing."""
    for key in keys:
        body = body.get(key) if isinstance(body, dict) else None
    return body or {}


def _parse_rows(body: Any, name: str) -> dict[int, NDArray[np.float32]]:
    """Return the vectors by the index of their input. Raises `UpstreamError`."""
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, list):
        raise malformed_response(name, "something other than a list of vectors")
    rows: dict[int, NDArray[np.float32]] = {}
    for position, item in enumerate(data):
        index = item.get("index", position) if isinstance(item, dict) else None
        if not isinstance(index, int):
            raise malformed_response(name, "something other than a list of vectors")
        rows[index] = _parse_row(item.get("embedding"), name)
    return rows


def _parse_row(value: Any, name: str) -> NDArray[np.float32]:
    """Return the vector in base64 of little-endian float32, or in a list of numbers."""
    import numpy as np

    try:
        if isinstance(value, str):
            return np.frombuffer(b64decode(value, validate=True), "<f4").astype(np.float32)
        row = np.asarray(value, np.float32)
    except (binascii.Error, ValueError, TypeError):
        raise malformed_response(name, "a vector that cannot be read") from None
    if row.ndim != 1:
        raise malformed_response(name, "a vector that is not a list of numbers")
    return row


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

    async def rerank(self, request: ProxyRequest) -> Ranking:
        """Return the relevance of the documents; `request.choices` is their number."""
        response = await self._transport.fetch(request, *build_request(request, self._card))
        return parse_ranking(response, request.choices, self._card.name)

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
        async with (
            self._transport.stream(request, body, headers) as chunks,
            aclosing(parse_stream(chunks, request, self._card.name)) as events,
        ):
            async for event in events:
                yield event
