"""How the answers of one deployment are judged: by whom, by which rules, in pieces of which size."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from inference.contracts import Event, Events, FilterResult, Finish, FinishReason, Usage
from inference.errors import SafetyUnavailable
from inference.safety.event_buffer import EventBuffer
from inference.safety.moderator import ModeratorEnsemble
from inference.safety.policy import Decision, FilterSide
from inference.safety.verdict import Verdict, digest

log = logging.getLogger(__name__)

HOLD, HOLD_LISTS = 64, 127
"""Characters held back: most phrases; and one less than the longest item of a blocklist."""
LONGEST_WAIT, WAITS = 30.0, 2
"""How long a stream waits when the service asks for it, in seconds, and how often in a row."""


@dataclass(frozen=True, slots=True)
class WindowTiming:
    """The pieces a stream is judged in, in characters.

    Windows grow, because a reader soon lags behind; 1,000 characters are one record on the bill; the seconds
    are for models that fill a window slowly. Measured in `benchmarks/content_safety.py`.
    """

    windows: tuple[int, ...] = (80, 160, 320, 600)
    hold: int = HOLD
    """How much of what was judged stays back until what follows it was judged with it."""
    record: int = 1000
    limited: int = 900
    """The window while the service wants to be asked less often."""
    seconds: float = 1.5
    """How long a text waits for a window to fill."""
    busy_seconds: float = 2.0
    """The same while the reader has that long to read: at 30 tokens a second 8 checks of 400, not 10."""
    limited_seconds: float = 10.0
    reading: float = 20.0
    """Characters a second that a reader reads."""

    @classmethod
    def holding(cls, hold: int) -> WindowTiming:
        """A window that is no larger than what is held back would show nothing."""
        usual = cls()
        return cls(tuple(size for size in usual.windows if size > hold), hold)

    def patience(self, unread: float, *, limited: bool) -> float:
        """How many seconds a text waits, when so many characters that were shown are not read yet."""
        if limited:
            return self.limited_seconds
        return self.busy_seconds if unread >= self.reading * self.seconds else self.seconds

    def window(self, number: int, *, limited: bool) -> int:
        """The size of the stream's window of that number, from 0."""
        if limited:
            return min(self.limited, self.record - self.hold)
        return self.windows[min(number, len(self.windows) - 1)]


@dataclass(frozen=True, slots=True)
class OutputFilter:
    """What every answer of a deployment is held to."""

    ensemble: ModeratorEnsemble
    side: FilterSide
    name: str
    """The deployment's, for the log."""
    fail_open: bool = False
    annotate: bool = False
    asynchronous: bool = False
    pace: WindowTiming = WindowTiming()

    async def judge(self, text: str, *, patient: bool = False) -> Decision:
        """What follows from a text; `patient` waits when the service asks for rest."""
        verdict = await self.ensemble.judge(text, self.side.checks)
        for _ in range(WAITS):
            if not (patient and _asks_for_rest(verdict.failure)):
                break
            assert verdict.failure is not None
            await asyncio.sleep(verdict.failure.retry_after)
            verdict = await self.ensemble.judge(text, self.side.checks)
        judgement = self.side.judge(verdict)
        if judgement.blocked:
            log.warning(
                "Filtered output: deployment=%s found=%s hash=%s", self.name, judgement.reasons, digest(text)
            )
        elif verdict.failure:
            log.warning("Unjudged output: deployment=%s: %s", self.name, verdict.failure.message)
        return judgement

    def fails(self, judgement: Decision) -> SafetyUnavailable | None:
        """Why a text is withheld that nobody judged; None where it was judged, or passes all the same."""
        return None if self.fail_open else judgement.verdict.failure

    def notes(self, verdict: Verdict) -> list[FilterResult]:
        """What is said of a text that passes: nothing, unless it is asked for or was not judged."""
        if not (self.annotate or verdict.failure):
            return []
        return [FilterResult(self.side.judge(verdict).results)]


def blocked(judgement: Decision, usage: Usage) -> tuple[FilterResult, Finish]:
    """How an answer ends in which something was found; the reason is told unasked."""
    return FilterResult(judgement.results), Finish(FinishReason.CONTENT_FILTER, usage)


def withheld(failure: SafetyUnavailable, usage: Usage) -> tuple[FilterResult, Finish]:
    """How a stream ends that could not be judged further."""
    error = {"code": "content_filter_error", "message": failure.message}
    return FilterResult({"error": error}, failed=True), Finish(FinishReason.CONTENT_FILTER, usage)


def _asks_for_rest(failure: SafetyUnavailable | None) -> bool:
    return failure is not None and failure.limited and failure.retry_after <= LONGEST_WAIT


async def filter_whole(events: Events, watch: OutputFilter, spent: Callable[[], Usage]) -> Events:
    """The events when their text passes; else nothing of them but a `Finish` that says content_filter.

    `spent` is the usage so far. Raises `SafetyUnavailable` when nobody could judge.
    """
    held, finish = EventBuffer(), None
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Finish):
                finish = event
            else:
                held.push(event)
    judgement = await watch.judge(held.text)
    ending: tuple[Event, ...]
    if judgement.blocked:
        ending = blocked(judgement, finish.usage if finish else spent())
    elif failure := watch.fails(judgement):
        raise failure
    else:
        ending = (*held.take(len(held.text)), *watch.notes(judgement.verdict), *([finish] if finish else []))
    for event in ending:
        yield event
