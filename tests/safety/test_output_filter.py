"""Whole answers: all or nothing."""

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
from tests.safety.judges import MEDIUM, SPENT, STOP, Judge, said, spent, watching

AWAY = SafetyUnavailable("away")


async def run(
    judge: Judge, *pieces: str | Event, fail_open: bool = False, annotate: bool = False
) -> list[Event]:
    watch = watching(judge, MEDIUM, fail_open=fail_open, annotate=annotate)
    return [event async for event in filter_whole(said(pieces), watch, spent)]


async def test_a_clean_answer_is_judged_once() -> None:
    judge = Judge()
    call: list[Event] = [ToolCallStart(0, "1", "f"), ToolCallArguments(0, "{}")]
    assert await run(judge, "Hel", "lo", *call) == [Text("Hello"), *call, STOP]
    assert judge.asked == ["Hello\n{}"]


async def test_a_blocked_answer_is_removed() -> None:
    judged, finish = await run(Judge("lo, wo"), "Hello, ", "world")
    assert isinstance(judged, FilterResult)
    assert finish == Finish(FinishReason.CONTENT_FILTER, STOP.usage)


async def test_a_long_answer_is_judged_to_its_end() -> None:
    *_, finish = await run(Judge("needle"), "x" * 25_000, "needle")
    assert finish == Finish(FinishReason.CONTENT_FILTER, STOP.usage)


async def test_closed_it_is_refused_and_open_it_is_marked() -> None:
    with pytest.raises(SafetyUnavailable):
        await run(Judge(failures=[AWAY]), "Hello")
    text, judged, finish = await run(Judge(failures=[AWAY]), "Hello", fail_open=True)
    assert (text, finish) == (Text("Hello"), STOP)
    assert isinstance(judged, FilterResult)
    assert judged.results["error"]["code"] == "content_filter_error"


async def test_annotations() -> None:
    _, judged, _ = await run(Judge(), "Hello", annotate=True)
    assert isinstance(judged, FilterResult)
    assert judged.results["hate"] == {"filtered": False, "severity": "safe"}
    assert SPENT
