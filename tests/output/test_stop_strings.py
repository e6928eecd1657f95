from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.contracts import Event, Events, Finish, FinishReason, Reasoning, Text, Token, Usage
from inference.output.detokenize import StopStringMatcher, apply_stop_strings

PROMPT = Usage(prompt_tokens=5, cached_tokens=2)
OWN = Finish(FinishReason.LENGTH, Usage(5, 99, 2))

texts = st.text("ab", max_size=30)
stops_of_few_letters = st.lists(st.text("ab", min_size=1, max_size=6), min_size=1, max_size=4)


def cut_at(text: str, places: Sequence[int]) -> list[str]:
    borders = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(borders)]


def naive(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    found = [text.find(stop) for stop in stops if stop in text]
    return (text[: min(found)], True) if found else (text, False)


def searched(pieces: Sequence[str], stops: Sequence[str]) -> tuple[str, bool]:
    matcher, text = StopStringMatcher(stops), ""
    for piece in pieces:
        result = matcher.push(piece)
        text += result.text
        if result.stopped:
            return text, True
    last = matcher.flush()
    return text + last.text, last.stopped


@given(texts, stops_of_few_letters, st.lists(st.integers(0, 30), max_size=10))
def test_any_split_stops_where_a_search_of_the_whole_text_does(
    text: str, stops: list[str], places: list[int]
) -> None:
    assert searched(cut_at(text, places), stops) == naive(text, stops)


@given(texts, stops_of_few_letters)
def test_only_text_that_could_become_a_stop_string_is_pending(text: str, stops: list[str]) -> None:
    matcher, released = StopStringMatcher(stops), ""
    for end, character in enumerate(text, 1):
        result = matcher.push(character)
        released += result.text
        if result.stopped:
            return
        pending = text[len(released) : end]
        waits_for_longer = any(stop in pending for stop in stops)
        assert not pending or waits_for_longer or any(stop.startswith(pending) for stop in stops)


@pytest.mark.parametrize(
    ("text", "stops", "before"),
    [
        ("one\n\ntwo", ["\n\n"], "one"),
        ("aab", ["ab"], "a"),
        ("abcd", ["bc", "abcd"], ""),
        ("abcx", ["bc", "abcd"], "a"),
        ("abc", ["bc", "abcd"], "a"),
        ("abc", ["ab", "abc"], ""),
        ("the end", ["END"], "the end"),
        ("日本語🙂終", ["🙂"], "日本語"),
        ("", ["x"], ""),
        ("text", [], "text"),
    ],
)
def test_the_first_stop_string_ends_the_text(text: str, stops: list[str], before: str) -> None:
    assert searched(list(text), stops)[0] == before
    assert searched([text], stops)[0] == before


def test_an_empty_stop_string_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        StopStringMatcher(["a", ""])


def tokens(*pieces: str) -> Iterator[Event]:
    for number, piece in enumerate(pieces):
        yield Token(number)
        if piece:
            yield Text(piece)


async def stream(events: Iterator[Event], log: list[str] | None = None) -> Events:
    try:
        for event in events:
            yield event
        yield OWN
    finally:
        if log is not None:
            log.append("closed")


async def test_a_match_closes_the_model_and_counts_its_tokens() -> None:
    log: list[str] = []
    received: list[Event] = []
    async for event in apply_stop_strings(
        stream(tokens("go ", "", "ST", "OP now", " on"), log), ["STOP"], PROMPT
    ):
        if isinstance(event, Finish):
            log.append("finish")
        received.append(event)
    assert received == [Text("go "), Finish(FinishReason.STOP, Usage(5, 4, 2))]
    assert log == ["closed", "finish"]


async def test_without_a_match_the_model_s_own_finish_stands() -> None:
    events = apply_stop_strings(stream(tokens("go ", "ST")), ["STOP"], PROMPT)
    assert [event async for event in events] == [Text("go "), Text("ST"), OWN]


async def test_a_match_decided_at_the_end_keeps_the_model_s_usage() -> None:
    events = apply_stop_strings(stream(tokens("abc")), ["abcd", "bc"], PROMPT)
    assert [event async for event in events] == [Text("a"), Finish(FinishReason.STOP, OWN.usage)]


async def test_without_stop_strings_only_the_tokens_are_removed() -> None:
    events = apply_stop_strings(stream(tokens("a", "b")), [], PROMPT)
    assert [event async for event in events] == [Text("a"), Text("b"), OWN]


async def test_no_stop_string_reaches_across_another_event() -> None:
    events = apply_stop_strings(stream(iter([Text("S"), Reasoning("?"), Text("TOP")])), ["STOP"], PROMPT)
    assert [event async for event in events] == [Text("S"), Reasoning("?"), Text("TOP"), OWN]


async def test_closing_the_stage_closes_the_model() -> None:
    log: list[str] = []
    events = apply_stop_strings(stream(tokens("a", "b"), log), ["x"], PROMPT)
    await anext(events)
    await events.aclose()
    assert log == ["closed"]
