import pytest

from inference.contracts import (
    Event,
    Events,
    Finish,
    FinishReason,
    Reasoning,
    ScoredToken,
    Text,
    TokenLogprob,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from inference.output.tool_calls import tool_calls
from inference.tool_formats import TOOL_FORMATS, CallReader

USAGE = Usage(1, 2)
CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'


async def stream(*events: Event, closed: list[bool] | None = None) -> Events:
    try:
        for event in events:
            yield event
    finally:
        if closed is not None:
            closed.append(True)


def reader() -> CallReader:
    return TOOL_FORMATS["hermes"].read(["add"], TOOL_FORMATS["hermes"].new_id)


async def read(*events: Event) -> list[Event]:
    reply = tool_calls(stream(*events), reader())
    return [event async for event in reply]


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
    reply = tool_calls(stream(Text("a"), Text("b"), closed=closed), reader())
    await anext(reply)
    await reply.aclose()
    assert closed == [True]


async def single(*events: Event) -> tuple[list[Event], int]:
    """What is read of an answer that may have one call, and of how many of its events."""
    seen: list[Event] = []

    async def model() -> Events:
        for event in events:
            seen.append(event)
            yield event

    reply = tool_calls(model(), reader(), spent=lambda: Usage(1, len(seen)))
    return [event async for event in reply], len(seen)


@pytest.mark.parametrize(
    "pieces",
    [
        [CALL + CALL],
        [CALL, CALL],
        [CALL + "and more", CALL],
        [*CALL, CALL],
        ['<tool_call>{"arguments": {"a": 1}, "name": "add"}', CALL],
    ],
)
async def test_where_one_call_may_be_the_answer_is_over_with_it(pieces: list[str]) -> None:
    texts = [Text(piece) for piece in pieces]
    events, seen = await single(Text("So: "), *texts, Finish(FinishReason.STOP, USAGE))
    said = "".join(event.text for event in events if isinstance(event, Text))
    starts = [event for event in events if isinstance(event, ToolCallStart)]
    arguments = [event for event in events if isinstance(event, ToolCallArguments)]
    assert (said, len(starts)) == ("So:", 1)
    assert "".join(piece.arguments for piece in arguments) == '{"a": 1}'
    assert events[-1] == Finish(FinishReason.TOOL_CALLS, Usage(1, seen))
    assert seen <= 1 + len(pieces)


async def test_where_one_call_may_be_an_answer_without_any_is_whole() -> None:
    finish = Finish(FinishReason.STOP, USAGE)
    events, _ = await single(Text("a "), Text("b"), finish)
    assert events == [Text("a"), Text(" b"), finish]


def scored(text: str) -> Text:
    token = TokenLogprob(text, text.encode(), -1.0)
    return Text(text, (ScoredToken(token, (), 0),))


async def test_log_probabilities_come_no_earlier_than_their_text() -> None:
    pieces = ["So", ": ", "a <", "tool", "> b ", CALL[:20], CALL[20:], "\n"]
    events = await read(*map(scored, pieces), Finish(FinishReason.STOP, USAGE))
    said, counted, order = "", "", []
    for event in events:
        if isinstance(event, Text):
            said += event.text
            counted += "".join(one.token.text for one in event.scores)
            order.append((said, counted))
    assert counted == "".join(pieces)
    assert said == "So: a <tool> b"
    assert all(said.startswith(counted.rstrip()) or CALL[:20] in counted for said, counted in order)
    assert isinstance(events[-1], Finish)
