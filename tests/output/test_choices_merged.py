import asyncio
from contextlib import aclosing

import pytest

from inference.contracts import Event, Events, Text
from inference.output.choices import merge
from tests.support.cancelling import Steps, cancel_repeatedly


class Choice:
    """A stream of texts that records how it ended."""

    def __init__(self, *texts: str, then: BaseException | None = None, forever: bool = False) -> None:
        self.texts, self.then, self.forever = texts, then, forever
        self.ended = ""

    async def events(self) -> Events:
        self.ended = "running"
        try:
            for text in self.texts:
                yield Text(text)
            if self.then is not None:
                raise self.then
            if self.forever:
                await asyncio.Event().wait()
            self.ended = "whole"
        finally:
            if self.ended == "running":
                self.ended = "cut"


async def merged(*choices: Choice) -> list[tuple[int, Event]]:
    return [pair async for pair in merge([choice.events() for choice in choices]) if pair is not None]


def others() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


async def test_events_carry_their_index_and_keep_their_sequence() -> None:
    pairs = await merged(Choice("a", "b", "c"), Choice(), Choice("x", "y"))
    assert [event for index, event in pairs if index == 0] == [Text("a"), Text("b"), Text("c")]
    assert [event for index, event in pairs if index == 2] == [Text("x"), Text("y")]
    assert len(pairs) == 5


async def test_no_stream_waits_for_another() -> None:
    fast, stuck = Choice("a", "b"), Choice(forever=True)
    async with aclosing(merge([stuck.events(), fast.events()])) as pairs:
        assert [await anext(pairs), await anext(pairs)] == [(1, Text("a")), (1, Text("b"))]
    assert (stuck.ended, others()) == ("cut", set())


async def test_no_streams_yield_nothing() -> None:
    assert await merged() == []


@pytest.mark.parametrize("error", [ValueError("broken"), asyncio.CancelledError()])
async def test_an_error_closes_the_other_streams(error: BaseException) -> None:
    broken, stuck, busy = Choice("a", then=error), Choice(forever=True), Choice(*"abcdefgh")
    with pytest.raises(type(error)):
        await merged(broken, stuck, busy)
    assert (stuck.ended, others()) == ("cut", set())
    assert busy.ended in ("cut", "whole")


async def test_closing_the_merge_closes_every_stream() -> None:
    choices = [Choice("a", forever=True), Choice("b", forever=True), Choice("c", "d", "e", "f")]
    pairs = merge([choice.events() for choice in choices])
    await anext(pairs)
    await pairs.aclose()
    assert [choice.ended for choice in choices][:2] == ["cut", "cut"]
    assert choices[2].ended in ("cut", "whole")
    assert others() == set()


async def test_cancelling_the_reader_closes_every_stream() -> None:
    stuck = Choice("a", forever=True)
    started = asyncio.Event()

    async def read() -> None:
        async with aclosing(merge([stuck.events()])) as pairs:
            async for _ in pairs:
                started.set()

    reader = asyncio.create_task(read())
    await started.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert (stuck.ended, others()) == ("cut", set())


async def test_a_stream_that_has_already_started_is_closed_too() -> None:
    running, broken = Choice("a", "b", forever=True), Choice(then=LookupError())
    events = running.events()
    await anext(events)
    with pytest.raises(LookupError):
        async for _ in merge([broken.events(), events]):
            pass
    assert running.ended == "cut"


async def test_silence_yields_none_until_the_next_event() -> None:
    gate = asyncio.Event()

    async def slow() -> Events:
        await gate.wait()
        yield Text("at last")

    received: list[tuple[int, Event] | None] = []
    async for item in merge([slow()], heartbeat=0.001):
        received.append(item)
        gate.set()
    assert received[0] is None
    assert received[-1] == (0, Text("at last"))


async def test_closing_during_silence_closes_the_streams() -> None:
    stuck = Choice("a", forever=True)
    items = merge([stuck.events()], heartbeat=0.001)
    assert await anext(items) == (0, Text("a"))
    assert await anext(items) is None
    await items.aclose()
    assert (stuck.ended, others()) == ("cut", set())


async def test_streams_clean_up_to_their_end_although_the_reader_is_cancelled_repeatedly() -> None:
    steps = Steps()

    async def slow_to_end() -> Events:
        try:
            yield Text("a")
            await asyncio.Event().wait()
        finally:
            await steps.run()

    started = asyncio.Event()

    async def read() -> None:
        async with aclosing(merge([slow_to_end()])) as pairs:
            async for _ in pairs:
                started.set()

    reader = asyncio.create_task(read())
    await started.wait()
    await cancel_repeatedly(reader)
    assert (steps.noted, others()) == (["cleanup begins", "cleanup ends"], set())


async def test_streams_between_two_events_are_closed_although_the_reader_is_cancelled_repeatedly() -> None:
    steps = [Steps(), Steps()]

    async def endless(cleanup: Steps) -> Events:
        try:
            while True:
                yield Text("a")
        finally:
            await cleanup.run()

    started = asyncio.Event()

    async def read() -> None:
        async with aclosing(merge([endless(cleanup) for cleanup in steps])) as pairs:
            await anext(pairs)
            started.set()
            await asyncio.Event().wait()

    reader = asyncio.create_task(read())
    await started.wait()
    await asyncio.sleep(0.001)  # The streams wait for room in the queue.
    await cancel_repeatedly(reader)
    assert [cleanup.noted for cleanup in steps] == [["cleanup begins", "cleanup ends"]] * 2
    assert others() == set()
