"""Answers that end by the limits on their calls, in a stream and whole."""

import json
from collections.abc import Sequence

import pytest

from inference.contracts import (
    Event,
    Events,
    Finish,
    FinishReason,
    Text,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)
from inference.output.call_limits import CallLimits, LimitedCallReader
from inference.output.tool_calls import parse_tool_calls
from inference.tool_formats import TOOL_FORMATS

DISTINCT = CallLimits(distinct=True)
OFFERED = ("add", "look")


def written(*calls: tuple[str, str]) -> str:
    return "\n".join(
        f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'
        for name, arguments in calls
    )


async def answered(pieces: Sequence[str], limits: CallLimits, end: FinishReason) -> tuple[list[Event], int]:
    """Return the events of an answer, and the number of its pieces that were drawn."""
    drawn = 0

    async def model() -> Events:
        nonlocal drawn
        for piece in pieces:
            drawn += 1
            yield Text(piece)
        yield Finish(end, Usage(1, drawn))

    reader = TOOL_FORMATS["hermes"].read(OFFERED, lambda: "call")
    events = parse_tool_calls(model(), reader, usage=lambda: Usage(1, drawn), limits=limits)
    return [event async for event in events], drawn


def calls_of(events: Sequence[Event]) -> list[tuple[str, str]]:
    calls: list[tuple[str, str]] = []
    for event in events:
        if isinstance(event, ToolCallStart):
            assert event.index == len(calls)
            calls.append((event.name, ""))
        elif isinstance(event, ToolCallArguments):
            name, arguments = calls[event.index]
            calls[event.index] = name, arguments + event.arguments
    return calls


A, B, C = ("add", '{"a": 1}'), ("look", '{"a": 1}'), ("add", '{"a": 12}')


@pytest.mark.parametrize(
    ("calls", "limits", "kept", "over"),
    [
        ([A, A, A], DISTINCT, [A], True),
        ([A, B, A, B], DISTINCT, [A, B], True),
        ([A, B, C], DISTINCT, [A, B, C], False),
        ([C, A, A], DISTINCT, [C, A], True),
        ([A, ("add", '{ "a":\n 1}')], DISTINCT, [A], True),
        ([("add", "{}"), ("add", "{}")], DISTINCT, [("add", "{}")], True),
        ([("add", '{"a": "x y"}'), ("add", '{"a": "xy"}')], DISTINCT, None, False),
        ([A, A, A], CallLimits(), [A, A, A], False),
        ([A, A, A], CallLimits(2), [A, A], True),
        ([A, B, C], CallLimits(2, distinct=True), [A, B], True),
        ([A, A, C], CallLimits(2, distinct=True), [A], True),
        ([A], CallLimits(1), [A], True),
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 10_000])
async def test_an_answer_ends_by_its_limits(
    calls: list[tuple[str, str]],
    limits: CallLimits,
    kept: list[tuple[str, str]] | None,
    over: bool,
    piece: int,
) -> None:
    answer = written(*calls)
    pieces = [answer[at : at + piece] for at in range(0, len(answer), piece)]
    events, drawn = await answered(pieces, limits, FinishReason.STOP)
    assert calls_of(events) == (calls if kept is None else kept)
    assert events[-1] == Finish(FinishReason.TOOL_CALLS, Usage(1, drawn))
    assert not any(isinstance(event, Text) and event.text for event in events)
    assert not over or piece > 7 or drawn < len(pieces)


async def test_a_different_call_streams_from_where_it_differs() -> None:
    reader = LimitedCallReader(TOOL_FORMATS["hermes"].read(OFFERED, lambda: "call"), DISTINCT)
    reader.push(written(A))
    assert list(reader.push('<tool_call>{"name": "add", "arguments": {"a": 1')) == []
    assert reader.pending > 0
    assert list(reader.push("2")) == [
        ToolCallStart(1, "call", "add"),
        ToolCallArguments(1, '{"a": 1'),
        ToolCallArguments(1, "2"),
    ]
    assert reader.pending == 0


async def test_a_call_that_was_cut_while_it_may_be_a_repetition_is_shown() -> None:
    answer = written(A) + '\n<tool_call>\n{"name": "add", "arguments": {"a"'
    events, _ = await answered([answer], DISTINCT, FinishReason.LENGTH)
    assert calls_of(events) == [A, ("add", '{"a"')]
    assert events[-1] == Finish(FinishReason.LENGTH, Usage(1, 1))


@pytest.mark.parametrize("key", ["arguments", "parameters"])
async def test_a_repetition_in_a_bare_list_is_left_out(key: str) -> None:
    answer = json.dumps([{"name": "add", key: {"a": 1}}] * 3)
    events, _ = await answered(list(answer), DISTINCT, FinishReason.STOP)
    assert calls_of(events) == [A]
    assert isinstance(events[-1], Finish)
    assert events[-1].reason is FinishReason.TOOL_CALLS


async def test_text_after_the_last_call_is_no_part_of_the_answer() -> None:
    events, _ = await answered([written(A, B) + "and more"], CallLimits(2), FinishReason.STOP)
    assert calls_of(events) == [A, B]
    assert not any(isinstance(event, Text) for event in events)
