"""One turn of a conversation: what it continues is read before it runs, and it is kept before it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inference.api.offenders import ROOT, abridged
from inference.api.responses import ResponsesRequest
from inference.api.text_inputs import json_texts
from inference.errors import InvalidInput, Location, Offender, ParameterNotSupported
from inference.pipeline.response_errors import ItemNotFound, PreviousResponseNotFound
from inference.pipeline.response_items import Item, ItemIds, complete_items, is_emptied, is_reference
from inference.response_store.ids import is_response_id, new_response_id, response_of
from inference.response_store.record import StoredResponse
from inference.response_store.store import ResponseStore

MISSING = "unsupported_parameter"
NOTHING_KEPT = "this endpoint keeps no responses; send the whole conversation in input"


@dataclass(frozen=True, slots=True)
class Turn:
    """The items of a turn and of the conversation before it."""

    id: str
    owner: str
    ids: ItemIds
    created: float
    context: Sequence[Item] = ()
    """The items of the turns before."""
    items: Sequence[Item] = ()
    """The input, with references replaced by what they stand for."""
    store: ResponseStore | None = field(default=None)
    """The store that the turn is kept in; None where it is not kept."""

    @property
    def located_items(self) -> list[tuple[Item, Location]]:
        """The items of the input, each with its place in the request."""
        return [(item, ("input", index)) for index, item in enumerate(self.items)]

    @property
    def further_characters(self) -> int:
        """The characters of the conversation that the body did not bring: they decide where it is lowered."""
        return sum(map(len, json_texts([*self.context])))

    @property
    def kept(self) -> bool:
        return self.store is not None

    async def keep(self, response: Mapping[str, Any], expires: float) -> None:
        """Keep the turn with its response. Raises `ResponseStoreUnavailable`."""
        if self.store is not None:
            record = StoredResponse(
                id=self.id,
                owner=self.owner,
                created=self.created,
                expires=expires,
                response=response,
                items=self.items,
                context=self.context,
            )
            await self.store.put(record)


async def open_turn(
    request: ResponsesRequest,
    body: Mapping[str, Any],
    owner: str,
    store: ResponseStore | None,
    now: Callable[[], float] = time.time,
) -> Turn:
    """Return the turn of a request, with what it continues and refers to.

    Raises `ParameterNotSupported` where nothing is kept, `PreviousResponseNotFound`, `ItemNotFound`,
    `RequestTooLarge` for a turn that could not be kept, `ResponseStoreUnavailable`.
    """
    response_id = new_response_id()
    ids = ItemIds(response_id)
    items = complete_items(body["input"], ids)
    _require_store(request, items, store)
    context: Sequence[Item] = ()
    if store is not None:
        reader = _Reader(store, owner, response_id)
        context = await reader.context(request.previous_response_id)
        items = [await reader.resolved(item, index) for index, item in enumerate(items)]
    kept = store if request.store is not False else None
    if kept is not None:
        await kept.check(items, context)
    return Turn(response_id, owner, ids, now(), context, items, kept)


def _require_store(request: ResponsesRequest, items: Sequence[Item], store: ResponseStore | None) -> None:
    """Raise `ParameterNotSupported` for what needs a store, where there is none."""
    if store is not None:
        return
    wanted: list[tuple[Location, Any]] = [
        (("previous_response_id",), request.previous_response_id),
        (("store",), request.store or None),
        *((("input", index), item) for index, item in enumerate(items) if is_reference(item)),
    ]
    offenders = [
        Offender((ROOT, *loc), abridged(value), f"{loc[0]} is not supported: {NOTHING_KEPT}", MISSING)
        for loc, value in wanted
        if value is not None
    ]
    if offenders:
        raise ParameterNotSupported(offenders)


class _Reader:
    """Reads the responses that a request names, each once."""

    def __init__(self, store: ResponseStore, owner: str, current: str) -> None:
        """Take the id of the turn itself: an item that came without an id has one of it, and is not kept."""
        self._store = store
        self._owner = owner
        self._current = current
        self._records: dict[str, StoredResponse | None] = {}

    async def context(self, previous: str | None) -> Sequence[Item]:
        """Return the conversation up to a response, that response included."""
        if previous is None:
            return ()
        if not is_response_id(previous):
            message = f"{abridged(previous)!r} is not the id of a response"
            raise InvalidInput([Offender((ROOT, "previous_response_id"), abridged(previous), message)])
        record = await self._record(previous)
        if record is None:
            raise PreviousResponseNotFound(previous)
        return _conversation(record)

    async def resolved(self, item: Item, index: int) -> Item:
        """Return an item, or the one that it refers to; reasoning that came without its words, with them."""
        if is_emptied(item):
            return await self._kept(item["id"]) or item
        if not is_reference(item):
            return item
        if (target := await self._kept(item["id"])) is None:
            raise ItemNotFound(item["id"], index)
        return target

    async def _kept(self, item: str) -> Item | None:
        response_id = response_of(item)
        record = await self._record(response_id) if response_id and response_id != self._current else None
        found = (one for one in _conversation(record) if one.get("id") == item) if record else iter(())
        return next(found, None)

    async def _record(self, response_id: str) -> StoredResponse | None:
        if response_id not in self._records:
            self._records[response_id] = await self._store.get(response_id, self._owner)
        return self._records[response_id]


def _conversation(record: StoredResponse) -> list[Item]:
    return [*record.context, *record.items, *record.response["output"]]
