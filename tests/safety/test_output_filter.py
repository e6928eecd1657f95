"""Whole answers: all of one passes, or nothing."""

from __future__ import annotations

import pytest

from inference.contracts import (
    Event,
    FilterResult,
    Finish,
    FinishReason,
    Text,
    ToolCallArguments,
    ToolCallStart,
)
from inference.errors import SafetyUnavailable
from inference.safety.output_filter import filter_whole
from tests.safety.judges import MEDIUM, SPENT, STOP, FakeModerator, model_events, output_filter_of, spent

AWAY = SafetyUnavailable("away")


async def run(
    judge: FakeModerator, *pieces: str | Event, fail_open: bool = False, annotate: bool = False
) -> list[Event]:
    output_filter = output_filter_of(judge, MEDIUM, fail_open=fail_open, annotate=annotate)
    return [event async for event in filter_whole(model_events(pieces), output_filter, spent)]


async def test_a_clean_answer_passes_with_one_check() -> None:
    judge = FakeModerator()
    call: list[Event] = [ToolCallStart(0, "1", "f"), ToolCallArguments(0, "{}")]
    assert await run(judge, "Hel", "lo", *call) == [Text("Hello"), *call, STOP]
    assert judge.texts == ["Hello\n{}"]


async def test_a_blocked_answer_has_only_its_findings_and_finish() -> None:
    result, finish = await run(FakeModerator("lo, wo"), "Hello, ", "world")
    assert isinstance(result, FilterResult)
    assert finish == Finish(FinishReason.CONTENT_FILTER, STOP.usage)


async def test_a_phrase_at_the_end_of_a_long_answer_is_found() -> None:
    *_, finish = await run(FakeModerator("needle"), "x" * 25_000, "needle")
    assert finish == Finish(FinishReason.CONTENT_FILTER, STOP.usage)


async def test_an_unchecked_answer_is_refused_closed_and_annotated_open() -> None:
    with pytest.raises(SafetyUnavailable):
        await run(FakeModerator(failures=[AWAY]), "Hello")
    text, result, finish = await run(FakeModerator(failures=[AWAY]), "Hello", fail_open=True)
    assert (text, finish) == (Text("Hello"), STOP)
    assert isinstance(result, FilterResult)
    assert result.results["error"]["code"] == "content_filter_error"


async def test_annotations_follow_the_text() -> None:
    _, result, _ = await run(FakeModerator(), "Hello", annotate=True)
    assert isinstance(result, FilterResult)
    assert result.results["hate"] == {"filtered": False, "severity": "safe"}
    assert SPENT
