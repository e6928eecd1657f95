import re

import pytest

from inference.contracts import (
    Event,
    Events,
    Finish,
    FinishReason,
    Reasoning,
    Text,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from inference.reply.tool_calls import DIALECTS, new_id, tool_calls

USAGE = Usage(1, 2)
CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'


async def stream(*events: Event, closed: list[bool] | None = None) -> Events:
    try:
        for event in events:
            yield event
    finally:
        if closed is not None:
            closed.append(True)


async def read(*events: Event) -> list[Event]:
    reply = tool_calls(stream(*events), DIALECTS["hermes"], ["add"])
    return [event async for event in reply]


def test_an_id_is_call_and_24_letters_or_digits() -> None:
    assert re.fullmatch(r"call_[A-Za-z0-9]{24}", new_id())
    assert new_id() != new_id()


@pytest.mark.parametrize(
    ("reason", "shown"),
    [(FinishReason.STOP, FinishReason.TOOL_CALLS), (FinishReason.LENGTH, FinishReason.LENGTH)],
)
async def test_a_call_changes_the_reason_stop(reason: FinishReason, shown: FinishReason) -> None:
    start, arguments, finish = await read(Text(CALL), Finish(reason, USAGE))
    assert isinstance(start, ToolCallStart)
    assert (start.index, start.name) == (0, "add")
    assert arguments == ToolCallArguments(0, '{"a": 1}')
    assert finish == Finish(shown, USAGE)


async def test_each_call_has_its_own_id() -> None:
    events = await read(Text(CALL + CALL), Finish(FinishReason.STOP, USAGE))
    starts = [event for event in events if isinstance(event, ToolCallStart)]
    assert [start.index for start in starts] == [0, 1]
    assert starts[0].id != starts[1].id


async def test_text_without_a_call_keeps_its_finish() -> None:
    finish = Finish(FinishReason.STOP, USAGE)
    assert await read(Text("a <tool"), finish) == [Text("a"), Text(" <tool"), finish]


async def test_other_events_pass() -> None:
    finish = Finish(FinishReason.STOP, USAGE)
    assert await read(Reasoning("hm"), Text("a"), finish) == [Reasoning("hm"), Text("a"), finish]


async def test_closing_it_closes_the_model() -> None:
    closed: list[bool] = []
    reply = tool_calls(stream(Text("a"), Text("b"), closed=closed), DIALECTS["hermes"], ["add"])
    await anext(reply)
    await reply.aclose()
    assert closed == [True]
