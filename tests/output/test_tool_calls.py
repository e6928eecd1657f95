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
from inference.output.tool_calls import only_offered_calls, parse_tool_calls
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


async def parsed(*events: Event) -> list[Event]:
    reply = parse_tool_calls(stream(*events), reader())
    return [event async for event in reply]


@pytest.mark.parametrize(
    ("reason", "shown"),
    [(FinishReason.STOP, FinishReason.TOOL_CALLS), (FinishReason.LENGTH, FinishReason.LENGTH)],
)
async def test_a_call_changes_the_finish_reason_stop_and_no_other(
    reason: FinishReason, shown: FinishReason
) -> None:
    start, arguments, finish = await parsed(Text(CALL), Finish(reason, USAGE))
    assert isinstance(start, ToolCallStart)
    assert (start.index, start.name) == (0, "add")
    assert arguments == ToolCallArguments(0, '{"a": 1}')
    assert finish == Finish(shown, USAGE)


async def test_each_call_has_its_own_id() -> None:
    events = await parsed(Text(CALL + CALL), Finish(FinishReason.STOP, USAGE))
    starts = [event for event in events if isinstance(event, ToolCallStart)]
    assert [start.index for start in starts] == [0, 1]
    assert starts[0].id != starts[1].id


async def test_text_without_a_call_keeps_its_finish() -> None:
    finish = Finish(FinishReason.STOP, USAGE)
    assert await parsed(Text("a <tool"), finish) == [Text("a"), Text(" <tool"), finish]


async def test_other_events_pass_unchanged() -> None:
    finish = Finish(FinishReason.STOP, USAGE)
    assert await parsed(Reasoning("hm"), Text("a"), finish) == [Reasoning("hm"), Text("a"), finish]


async def test_closing_the_stage_closes_the_model() -> None:
    closed: list[bool] = []
    reply = parse_tool_calls(stream(Text("a"), Text("b"), closed=closed), reader())
    await anext(reply)
    await reply.aclose()
    assert closed == [True]


async def single(*events: Event) -> tuple[list[Event], int]:
    """Return the events of an answer that may have one call, and the number of events consumed."""
    consumed: list[Event] = []

    async def model() -> Events:
        for event in events:
            consumed.append(event)
            yield event

    reply = parse_tool_calls(model(), reader(), usage=lambda: Usage(1, len(consumed)))
    return [event async for event in reply], len(consumed)


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
async def test_a_single_call_ends_the_answer(pieces: list[str]) -> None:
    texts = [Text(piece) for piece in pieces]
    events, consumed = await single(Text("So: "), *texts, Finish(FinishReason.STOP, USAGE))
    text = "".join(event.text for event in events if isinstance(event, Text))
    starts = [event for event in events if isinstance(event, ToolCallStart)]
    arguments = [event for event in events if isinstance(event, ToolCallArguments)]
    assert (text, len(starts)) == ("So:", 1)
    assert "".join(piece.arguments for piece in arguments) == '{"a": 1}'
    assert events[-1] == Finish(FinishReason.TOOL_CALLS, Usage(1, consumed))
    assert consumed <= 1 + len(pieces)


async def test_an_answer_without_its_single_call_is_whole() -> None:
    finish = Finish(FinishReason.STOP, USAGE)
    events, _ = await single(Text("a "), Text("b"), finish)
    assert events == [Text("a"), Text(" b"), finish]


def scored(text: str) -> Text:
    token = TokenLogprob(text, text.encode(), -1.0)
    return Text(text, (ScoredToken(token, (), 0),))


async def test_log_probabilities_come_no_earlier_than_their_text() -> None:
    pieces = ["So", ": ", "a <", "tool", "> b ", CALL[:20], CALL[20:], "\n"]
    events = await parsed(*map(scored, pieces), Finish(FinishReason.STOP, USAGE))
    text, counted, history = "", "", []
    for event in events:
        if isinstance(event, Text):
            text += event.text
            counted += "".join(one.token.text for one in event.scores)
            history.append((text, counted))
    assert counted == "".join(pieces)
    assert text == "So: a <tool> b"
    assert all(text.startswith(counted.rstrip()) or CALL[:20] in counted for text, counted in history)
    assert isinstance(events[-1], Finish)


def call(index: int, name: str) -> list[Event]:
    return [
        ToolCallStart(index, str(index), name),
        ToolCallArguments(index, name[0]),
        ToolCallArguments(index, name[1:]),
    ]


async def offered(*events: Event) -> list[Event]:
    return [event async for event in only_offered_calls(stream(*events), {"add", "look"})]


async def test_calls_of_tools_that_were_not_offered_are_left_out_and_the_others_numbered_anew() -> None:
    finish = Finish(FinishReason.TOOL_CALLS, USAGE)
    answer = await offered(
        Text("a"), *call(0, "invented"), *call(1, "add"), *call(2, "no"), *call(3, "look"), finish
    )
    assert answer == [
        Text("a"),
        *(ToolCallStart(0, "1", "add"), ToolCallArguments(0, "a"), ToolCallArguments(0, "dd")),
        *(ToolCallStart(1, "3", "look"), ToolCallArguments(1, "l"), ToolCallArguments(1, "ook")),
        finish,
    ]


@pytest.mark.parametrize(
    ("reason", "shown"),
    [(FinishReason.TOOL_CALLS, FinishReason.STOP), (FinishReason.LENGTH, FinishReason.LENGTH)],
)
async def test_an_answer_without_an_offered_call_has_no_reason_of_calls(
    reason: FinishReason, shown: FinishReason
) -> None:
    assert await offered(*call(0, "invented"), Finish(reason, USAGE)) == [Finish(shown, USAGE)]
    assert await offered(Finish(FinishReason.TOOL_CALLS, USAGE)) == [Finish(FinishReason.TOOL_CALLS, USAGE)]


async def test_closing_the_offered_calls_closes_the_answer() -> None:
    closed: list[bool] = []
    events = only_offered_calls(stream(Text("a"), Text("b"), closed=closed), ())
    await anext(events)
    await events.aclose()
    assert closed == [True]
