"""Streams window by window, in simulated time: the text that is sent, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from itertools import pairwise, repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.contracts import (
    Event,
    FilterResult,
    Finish,
    FinishReason,
    Reasoning,
    Text,
    ToolCallArguments,
    ToolCallStart,
)
from inference.errors import GenerationFailed, SafetyUnavailable
from inference.safety.event_buffer import event_text
from inference.safety.output_window import filter_stream
from inference.safety.text_splitting import character_boundary
from inference.safety.verdict import FilterChecks, Verdict
from tests.safety.clock import now, simulate
from tests.safety.judges import (
    MEDIUM,
    SPENT,
    STOP,
    FakeModerator,
    model_events,
    notes,
    output_filter_of,
    shown,
    spent,
)

PHRASE = "forbidden words"
LIMITED = SafetyUnavailable("rate limited", retry_after=3, limited=True)
AWAY = SafetyUnavailable("away")


def run(
    judge: FakeModerator, pieces: Sequence[str | Event], *, seconds: float = 0.03, **options: Any
) -> list[tuple[float, Event]]:
    """Return every event with the simulated second at which it was sent."""

    async def collect() -> list[tuple[float, Event]]:
        events = model_events(pieces, every=lambda _: seconds)
        output_filter = output_filter_of(judge, MEDIUM, **options)
        return [(now(), event) async for event in filter_stream(events, output_filter, spent)]

    return simulate(collect())


def events_of(timed: Iterable[tuple[float, Event]]) -> list[Event]:
    return [event for _, event in timed]


def words(count: int) -> list[str]:
    return [f"word{number:03} " for number in range(count)]


def test_a_clean_stream_passes_unchanged() -> None:
    events = events_of(run(FakeModerator(), words(200)))
    assert shown(events) == "".join(words(200))
    assert events[-1] == STOP
    assert not notes(events)


def test_windows_grow_and_overlap_by_the_characters_held_back() -> None:
    judge = FakeModerator(delays=repeat(0.12))
    run(judge, words(300), seconds=0.001)
    sizes = [len(text) for text in judge.texts]
    assert sizes[0] == 80
    assert max(sizes) <= 1000 + 64
    text = "".join(words(300))
    for before, after in pairwise(judge.texts):
        assert text.find(after) <= text.find(before) + len(before) - 64


def test_the_first_text_is_sent_with_the_first_verdict() -> None:
    timed = run(FakeModerator(delays=repeat(0.12)), ["abcd"] * 400, seconds=1 / 30)
    first = next(second for second, event in timed if isinstance(event, Text))
    assert first == pytest.approx(20 / 30 + 0.12)


def test_the_text_of_a_slow_model_waits_a_bounded_time() -> None:
    timed = run(FakeModerator(delays=repeat(0.12)), ["a" * 10] * 30, seconds=1.0)
    seconds = [second for second, event in timed if isinstance(event, Text)]
    assert max(later - sooner for sooner, later in pairwise(seconds)) <= 1 + 1.5 + 0.12


def test_the_text_of_a_stalled_model_is_checked_and_sent() -> None:
    async def stalls() -> AsyncGenerator[Event, None]:
        yield Text("a" * 75)
        await asyncio.sleep(60)
        yield STOP

    async def collect() -> float:
        async for _ in filter_stream(stalls(), output_filter_of(FakeModerator()), spent):
            return now()
        raise AssertionError

    assert simulate(collect()) == 1.5


def test_a_block_ends_the_stream_and_stops_the_model() -> None:
    closed: list[float] = []

    async def endless() -> AsyncGenerator[Event, None]:
        try:
            for piece in [*words(30), PHRASE]:
                yield Text(piece)
            while True:
                await asyncio.sleep(0.03)
                yield Text("more ")
        finally:
            closed.append(now())

    async def collect() -> tuple[list[Event], float]:
        judge = FakeModerator(PHRASE, delays=repeat(0.12))
        return [e async for e in filter_stream(endless(), output_filter_of(judge), spent)], now()

    events, ended = simulate(collect())
    assert closed == [ended]
    assert PHRASE[0:3] not in shown(events)
    *_, result, finish = events
    assert isinstance(result, FilterResult)
    assert result.results["violence"] == {"filtered": True, "severity": "medium"}
    assert finish == Finish(FinishReason.CONTENT_FILTER, SPENT)


def test_a_block_after_the_models_end_has_the_models_usage() -> None:
    events = events_of(run(FakeModerator(PHRASE), [PHRASE]))
    assert events[-1] == Finish(FinishReason.CONTENT_FILTER, STOP.usage)
    assert shown(events) == ""


def test_tool_call_arguments_and_reasoning_are_checked() -> None:
    call: list[str | Event] = [
        ToolCallStart(0, "1", "f"),
        ToolCallArguments(0, '{"a": "forbid'),
        ToolCallArguments(0, 'den words"}'),
    ]
    reasoning: list[str | Event] = [Reasoning("forbidden "), Reasoning("words"), "Fine."]
    for pieces in (call, reasoning):
        events = events_of(run(FakeModerator(PHRASE), pieces))
        assert events[-1] == Finish(FinishReason.CONTENT_FILTER, STOP.usage)
        assert not any(isinstance(event, ToolCallArguments | Reasoning | Text) for event in events)


def test_kinds_of_events_keep_their_order() -> None:
    pieces: list[str | Event] = [
        Reasoning("Let me think. "),
        Reasoning("Yes."),
        "I look. ",
        ToolCallStart(0, "1", "f"),
        ToolCallArguments(0, '{"a": 1}'),
        ToolCallStart(1, "2", "g"),
        ToolCallArguments(1, "{}"),
    ]
    assert events_of(run(FakeModerator(), pieces)) == [
        Reasoning("Let me think. Yes."),
        Text("I look. "),
        *pieces[3:],
        STOP,
    ]


def test_a_models_error_is_raised_and_text_held_back_is_not_sent() -> None:
    async def fails() -> AsyncGenerator[Event, None]:
        yield Text("half a")
        raise GenerationFailed("NaN")

    async def first() -> Event:
        return await anext(filter_stream(fails(), output_filter_of(FakeModerator()), spent))

    with pytest.raises(GenerationFailed):
        simulate(first())


def test_closing_the_stream_cancels_the_check_and_the_model() -> None:
    closed: list[str] = []

    class Slow(FakeModerator):
        async def judge(self, text: str, checks: FilterChecks) -> Verdict:
            try:
                await asyncio.sleep(3600)
                return await super().judge(text, checks)
            finally:
                closed.append("check")

    async def endless() -> AsyncGenerator[Event, None]:
        try:
            while True:
                await asyncio.sleep(0.01)
                yield Text("abcd")
        finally:
            closed.append("model")

    async def leave() -> None:
        stream = filter_stream(endless(), output_filter_of(Slow()), spent)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(5)
        waiting.cancel()
        await asyncio.wait({waiting})
        await stream.aclose()

    simulate(leave())
    assert sorted(closed) == ["check", "model"]


# --- failures of the moderator


def test_failing_closed_the_rest_is_withheld() -> None:
    events = events_of(run(FakeModerator(failures=[None, AWAY]), words(100)))
    *before, result, finish = events
    assert 0 < len(shown(before)) < 400
    assert isinstance(result, FilterResult)
    assert result.failed
    assert result.results["error"]["code"] == "content_filter_error"
    assert finish == Finish(FinishReason.CONTENT_FILTER, SPENT)


def test_failing_open_all_text_passes_annotated() -> None:
    events = events_of(run(FakeModerator(failures=[None, AWAY]), words(100), fail_open=True))
    assert shown(events) == "".join(words(100))
    assert events[-1] == STOP
    errors = [note.results["error"]["code"] for note in notes(events)]
    assert errors == ["content_filter_error"] * 2  # with the window's text, and with the end


def test_a_short_retry_after_is_waited_for() -> None:
    timed = run(FakeModerator(failures=[LIMITED, None]), words(100))
    assert shown(events_of(timed)) == "".join(words(100))
    assert min(second for second, event in timed if isinstance(event, Text)) >= 3


def test_before_the_first_text_a_long_retry_after_fails_at_once_and_says_how_long() -> None:
    limited = SafetyUnavailable("rate limited", retry_after=20, limited=True)
    (at, result), (_, finish) = run(FakeModerator(failures=[limited]), words(100))
    assert isinstance(result, FilterResult)
    assert (result.failed, result.retry_after, at < 1) == (True, 20, True)
    assert finish == Finish(FinishReason.CONTENT_FILTER, SPENT)


def test_after_the_first_text_a_long_retry_after_is_waited_for() -> None:
    limited = SafetyUnavailable("rate limited", retry_after=20, limited=True)
    timed = run(FakeModerator(failures=[None, limited]), words(100))
    assert shown(events_of(timed)) == "".join(words(100))
    assert timed[-1][0] >= 20


def test_a_repeated_rate_limit_ends_the_stream() -> None:
    events = events_of(run(FakeModerator(failures=[LIMITED] * 5), words(100)))
    assert events[-1] == Finish(FinishReason.CONTENT_FILTER, STOP.usage)
    assert shown(events) == ""


def test_windows_are_wide_while_the_rate_is_limited() -> None:
    judge = FakeModerator(delays=repeat(0.12))
    judge.limited = True
    run(judge, ["abcd"] * 1000, seconds=0.005)
    assert len(judge.texts[0]) == 900
    assert all(len(text) <= 1000 for text in judge.texts)


# --- annotations, and the asynchronous mode


def test_annotations_precede_their_text() -> None:
    events = events_of(run(FakeModerator(), words(60), annotate=True))
    kinds = [type(event) for event in events]
    assert kinds[:2] == [FilterResult, Text]
    assert kinds[-2:] == [FilterResult, Finish]
    safe = {"filtered": False, "severity": "safe"}
    assert notes(events)[0].results == dict.fromkeys(("hate", "self_harm", "sexual", "violence"), safe)


def test_asynchronously_text_is_sent_at_once_and_results_follow() -> None:
    timed = run(FakeModerator(delays=repeat(0.12)), words(60), asynchronous=True)
    first = next(second for second, event in timed if isinstance(event, Text))
    assert first == pytest.approx(0.03)
    events = events_of(timed)
    assert shown(events) == "".join(words(60))
    offsets = [note.offsets for note in notes(events) if note.offsets]
    assert offsets[0] == {"check_offset": 16, "start_offset": 0, "end_offset": 80}
    assert offsets[-1]["end_offset"] == len("".join(words(60)))
    checked = [one["check_offset"] for one in offsets]
    assert checked == sorted(checked)


def test_asynchronously_a_block_follows_within_a_window() -> None:
    pieces = [*words(10), PHRASE, *words(500)]
    events = events_of(run(FakeModerator(PHRASE, delays=repeat(0.12)), pieces, asynchronous=True))
    assert events[-1] == Finish(FinishReason.CONTENT_FILTER, SPENT)
    assert len(shown(events)) < shown(events).find(PHRASE) + 1000


# --- the guarantee


@given(
    text=st.text(st.sampled_from("ab \né👍🏽🇩🇪e\u0301"), max_size=900),
    phrase_at=st.integers(0, 900),
    length=st.integers(1, 65),
    cuts=st.lists(st.integers(0, 970), max_size=60),
    delays=st.lists(st.floats(0, 3), max_size=30),
    seconds=st.floats(0, 0.5),
    flagged=st.booleans(),
)
def test_no_character_of_a_flagged_phrase_is_sent(
    text: str,
    phrase_at: int,
    length: int,
    cuts: list[int],
    delays: list[float],
    seconds: float,
    flagged: bool,
) -> None:
    """A phrase is one character longer than the text held back, at most; cuts and delays are arbitrary."""
    phrase = "Z" * length
    text = text[:phrase_at] + (phrase if flagged else "") + text[phrase_at:]
    offsets = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[begin:end] for begin, end in pairwise(offsets)]
    judge = FakeModerator(phrase if flagged else "\0", delays=delays)
    events = events_of(run(judge, pieces, seconds=seconds))
    out = shown(events)
    if flagged:
        assert "Z" not in out
        assert text.startswith(out)
        assert events[-1].reason is FinishReason.CONTENT_FILTER  # type: ignore[union-attr]
    else:
        assert out == text
        assert events[-1] == STOP


def escaped(text: str, times: int) -> str:
    """Return a text with its characters as escapes, the first by number, those of them escaped again."""
    for _ in range(times):
        text = "".join(f"\\u{ord(character):04x}" if character in "Z\\u" else character for character in text)
    return text


@given(
    times=st.integers(1, 2),
    before=st.lists(
        st.sampled_from(["a", " ", "\\n", "\\\\", "\\u0041", "\\ud83d\\ude00", "é", "abc " * 25]), max_size=60
    ).map("".join),
    length=st.integers(1, 65),
    cuts=st.lists(st.integers(0, 6_000), max_size=60),
    delays=st.lists(st.floats(0, 3), max_size=30),
    call=st.booleans(),
)
def test_no_escape_of_a_flagged_phrase_is_sent(
    times: int, before: str, length: int, cuts: list[int], delays: list[float], call: bool
) -> None:
    """The phrase is written in escapes alone, which pieces and windows cut anywhere.

    A letter stands before it: backslashes there would be decoded with its first, to another text.
    """
    before += "a"
    text = before + escaped("Z" * length, times) + "a" * 80
    offsets = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    parts = [text[start:end] for start, end in pairwise(offsets)]
    pieces: list[str | Event] = [ToolCallArguments(0, part) for part in parts] if call else list(parts)
    judge = FakeModerator("Z" * length, delays=delays)
    events = events_of(run(judge, pieces, seconds=0.01))
    out = "".join(event_text(event) for event in events)
    assert events[-1].reason is FinishReason.CONTENT_FILTER  # type: ignore[union-attr]
    assert before.startswith(out)


def test_arguments_cut_inside_an_escape_are_judged_as_the_text_they_mean() -> None:
    parts = ['{"animal": "', "\\u00", "7a\\u006F", "\\u006", 'f"}']
    call: list[str | Event] = [ToolCallStart(0, "1", "f"), *(ToolCallArguments(0, part) for part in parts)]
    assert events_of(run(FakeModerator("zoo"), call))[-1] == Finish(FinishReason.CONTENT_FILTER, STOP.usage)
    assert [type(event) for event in events_of(run(FakeModerator(), call))] == [
        ToolCallStart,
        ToolCallArguments,
        Finish,
    ]


def test_calls_whose_pieces_alternate_are_judged_each_in_one_piece() -> None:
    pieces: list[str | Event] = [
        *(ToolCallStart(number, str(number), "f") for number in range(2)),
        *(ToolCallArguments(0, "forbid"), ToolCallArguments(1, "{}"), ToolCallArguments(0, "den words")),
    ]
    events = events_of(run(FakeModerator(PHRASE), pieces))
    assert events[-1] == Finish(FinishReason.CONTENT_FILTER, STOP.usage)


def test_no_check_starts_inside_an_escape() -> None:
    text = "abc" + escaped("Z" * 600, 1)
    judge = FakeModerator()
    run(judge, [text[at : at + 7] for at in range(0, len(text), 7)])
    assert len(judge.texts) > 5
    assert all(one.startswith(("abc\\u", "\\u005a")) for one in judge.texts)


def test_an_answer_that_is_all_escapes_is_checked_to_its_end() -> None:
    text = escaped("Z" * 2_000, 2)
    judge = FakeModerator()
    events = events_of(run(judge, [text[at : at + 700] for at in range(0, len(text), 700)]))
    assert shown(events) == text
    assert events[-1] == STOP


@given(
    text=st.text(st.sampled_from("ab👍🏽🇩🇪e\u0301\u200d\r\n한ᄒ"), max_size=400),
    seconds=st.floats(0, 0.2),
    delays=st.lists(st.floats(0, 1), max_size=10),
)
def test_text_is_cut_between_characters(text: str, seconds: float, delays: list[float]) -> None:
    events = events_of(run(FakeModerator(delays=delays), list(text), seconds=seconds))
    offset = 0
    for event in events:
        if isinstance(event, Text):
            offset += len(event.text)
            assert character_boundary(text, offset) == offset
    assert offset == len(text)


def test_an_empty_answer_is_not_checked() -> None:
    judge = FakeModerator()
    assert events_of(run(judge, [])) == [STOP]
    assert judge.texts == []
    assert MEDIUM.checks
