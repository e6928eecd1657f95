"""The queue of events that wait for a verdict: its text, and the events taken from it."""

from __future__ import annotations

import pytest

from inference.contracts import Event, Reasoning, Text, ToolCallArguments, ToolCallStart
from inference.safety.event_buffer import EventBuffer, event_text


def buffer_of(*events: Event) -> EventBuffer:
    buffer = EventBuffer()
    for event in events:
        buffer.push(event)
    return buffer


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Text("one"), "one"),
        (Reasoning("two"), "two"),
        (ToolCallArguments(0, "{}"), "{}"),
        (ToolCallStart(0, "1", "f"), ""),
    ],
)
def test_an_event_has_the_text_that_a_reader_sees(event: Event, text: str) -> None:
    assert event_text(event) == text


def test_a_line_break_separates_reasoning_content_and_each_call() -> None:
    buffer = buffer_of(
        Reasoning("a"),
        Reasoning("b"),
        Text("c"),
        ToolCallStart(0, "1", "f"),
        ToolCallArguments(0, "d"),
        ToolCallArguments(1, "e"),
    )
    assert buffer.text == "ab\nc\nd\ne"


def test_a_channel_that_goes_on_after_another_is_preceded_by_its_end() -> None:
    pieces = ["forbid", "x" * 600, "den"]
    events: list[Event] = [ToolCallArguments(number % 2, piece) for number, piece in enumerate(pieces)]
    buffer = buffer_of(*events, ToolCallArguments(1, "y"))
    assert buffer.text == f"forbid\n{pieces[1]}\nforbidden\n{'x' * 512}y"
    assert buffer.take(len(buffer.text)) == [*events, ToolCallArguments(1, "y")]


def test_taken_neighbours_are_joined_and_an_event_is_cut_at_the_limit() -> None:
    buffer = buffer_of(Text("one "), Text("two "), Text("three"))
    assert buffer.take(10) == [Text("one two th")]
    assert buffer.take(10) == []
    assert buffer.take(len(buffer.text)) == [Text("ree")]


def test_a_limit_inside_a_character_takes_the_text_before_it() -> None:
    buffer = buffer_of(Text("ae\u0301x"))
    assert buffer.take(2) == [Text("a")]
    assert buffer.take(4) == [Text("e\u0301x")]


def test_an_event_without_text_is_taken_after_the_text_before_it() -> None:
    start = ToolCallStart(0, "1", "f")
    buffer = buffer_of(Text("one"), start, ToolCallArguments(0, "{}"))
    assert buffer.take(2) == [Text("on")]
    assert buffer.take(3) == [Text("e"), start]
    assert buffer.take(6) == [ToolCallArguments(0, "{}")]
