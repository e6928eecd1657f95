"""The pace of streams and the bytes of events."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from inference.wire.sse import error_event, event, paced

NEVER = 3600.0


async def counted(closed: list[bool], gate: asyncio.Event | None = None) -> AsyncGenerator[int, None]:
    try:
        yield 1
        if gate is not None:
            await gate.wait()
        yield 2
    finally:
        closed.append(True)


def test_events_are_one_line_and_an_empty_one() -> None:
    assert event({"a": "x\ny\u2028"}) == '{"a":"x\\ny\u2028"}'.join(("data: ", "\n\n")).encode()
    assert (
        error_event("busy", "later") == b'data: {"error":{"code":"busy","message":"later"},"choices":[]}\n\n'
    )


async def test_items_pass_in_order_and_the_source_is_closed() -> None:
    closed: list[bool] = []
    assert [item async for item in paced(counted(closed), NEVER)] == [1, 2]
    assert closed == [True]


async def test_silence_gives_none_until_there_is_something() -> None:
    gate = asyncio.Event()
    seen: list[int | None] = []
    async for item in paced(counted([], gate), 0.001):
        seen.append(item)
        if item is None:
            gate.set()
    assert [item for item in seen if item is not None] == [1, 2]
    assert None in seen


async def test_leaving_while_an_item_is_awaited_closes_the_source() -> None:
    closed: list[bool] = []
    items = paced(counted(closed, asyncio.Event()), 0.001)
    assert await anext(items) == 1
    assert await anext(items) is None
    await items.aclose()
    assert closed == [True]


async def test_a_failure_of_the_source_comes_through() -> None:
    async def failing() -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        [item async for item in paced(failing(), NEVER)]
