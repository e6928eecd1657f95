"""A turn reads what it continues, and is kept with it."""

from __future__ import annotations

from typing import Any

import pytest

from inference.api.responses import ResponsesRequest
from inference.api.validation import validate
from inference.errors import ApiError, RequestTooLarge
from inference.pipeline.response_errors import ItemNotFound, PreviousResponseNotFound
from inference.pipeline.response_turn import Turn, open_turn
from inference.response_store.memory import MemoryStore

OUTPUT = {"id": "msg_out", "type": "message", "role": "assistant", "content": []}


async def turn_of(store: MemoryStore | None, owner: str = "", /, **body: Any) -> Turn:
    body = {"input": "Hi", **body}
    return await open_turn(validate(ResponsesRequest, body), body, owner, store, now=lambda: 7.0)


async def kept(store: MemoryStore, owner: str = "", /, **body: Any) -> Turn:
    turn = await turn_of(store, owner, **body)
    await turn.keep({"id": turn.id, "output": [OUTPUT]}, expires=2.0**40)
    return turn


async def test_a_turn_has_the_conversation_before_it() -> None:
    store = MemoryStore(10_000)
    first = await kept(store, input="One")
    second = await kept(store, input="Two", previous_response_id=first.id)
    third = await turn_of(store, input="Three", previous_response_id=second.id)
    assert third.context == [*first.items, OUTPUT, *second.items, OUTPUT]
    assert third.located_items == [(third.items[0], ("input", 0))]
    assert len({first.id, second.id, third.id}) == 3


async def test_a_reference_is_replaced_by_its_item() -> None:
    store = MemoryStore(10_000)
    first = await kept(store, input="One")
    name = first.items[0]["id"]
    turn = await turn_of(
        store, input=[{"type": "item_reference", "id": name}, {"role": "user", "content": "x"}]
    )
    assert turn.items[0] == first.items[0]


async def test_reasoning_without_its_words_is_found_by_its_id() -> None:
    store = MemoryStore(10_000)
    words = {"content": [{"type": "reasoning_text", "text": "Hm."}]}
    first = await kept(store, "ada", input=[{"type": "reasoning", **words}, {"role": "user", "content": "x"}])
    emptied = {"type": "reasoning", "id": first.items[0]["id"], "summary": [], "content": []}
    said = [emptied, {"role": "user", "content": "y"}]
    assert (await turn_of(store, "ada", input=said)).items[0] == first.items[0]
    unknown = (await turn_of(store, "bob", input=said)).items[0]
    assert unknown == {"type": "reasoning", "id": emptied["id"], "summary": []}
    nameless = await turn_of(store, "ada", input=[{"type": "reasoning", "summary": []}, said[1]])
    assert nameless.items[0] == {"type": "reasoning", "id": nameless.items[0]["id"], "summary": []}


async def test_what_is_another_caller_s_is_not_there() -> None:
    store = MemoryStore(10_000)
    first = await kept(store, "ada")
    assert (await turn_of(store, "ada", previous_response_id=first.id)).context
    with pytest.raises(PreviousResponseNotFound):
        await turn_of(store, "bob", previous_response_id=first.id)
    with pytest.raises(ItemNotFound):
        await turn_of(store, "bob", input=[{"type": "item_reference", "id": first.items[0]["id"]}])


async def test_a_turn_that_is_not_to_be_kept_is_not_and_reads_all_the_same() -> None:
    store = MemoryStore(10_000)
    first = await kept(store)
    second = await kept(store, store=False, previous_response_id=first.id)
    assert (second.kept, len(second.context)) == (False, 2)
    with pytest.raises(PreviousResponseNotFound):
        await turn_of(store, previous_response_id=second.id)


async def test_a_turn_too_large_to_be_kept_is_refused_before_it_runs() -> None:
    store = MemoryStore(1_000)
    with pytest.raises(RequestTooLarge):
        await turn_of(store, input="x" * 2_000)
    assert not (await turn_of(store, input="x" * 2_000, store=False)).kept


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"store": True}, "store"),
        ({"previous_response_id": "resp_" + "0" * 32}, "previous_response_id"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
    ],
)
async def test_without_a_store_what_needs_one_is_refused(body: dict[str, Any], place: str) -> None:
    with pytest.raises(ApiError) as caught:
        await turn_of(None, **body)
    assert caught.value.param == place
    assert not (await turn_of(None)).kept
    assert not (await turn_of(None, store=False)).kept
