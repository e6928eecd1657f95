"""The filter of answers: its rules and timing, the endings of filtered answers, and whole answers."""

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

HOLDBACK, BLOCKLIST_HOLDBACK = 64, 127
"""Characters held back: longer than most phrases; one less than the longest item of a blocklist."""
MAX_RETRY_AFTER, MAX_RETRIES = 30.0, 2
"""The longest Retry-After that a stream waits for, in seconds, and its most retries of one check."""
MAX_FIRST_RETRY_AFTER = 5.0
"""The longest one before a stream's first text: for a longer one a refusal can name the time to come back."""


@dataclass(frozen=True, slots=True)
class WindowTiming:
    """The sizes of a stream's windows in characters, and the seconds a text waits for its window to fill.

    Windows grow, because readers soon lag behind the model. The service bills per started 1,000 characters.
    The seconds are for models that fill a window slowly. Measured in `benchmarks/content_safety.py`.
    """

    windows: tuple[int, ...] = (80, 160, 320, 600)
    holdback: int = HOLDBACK
    """Checked characters that are held back until the text after them was checked with them."""
    record: int = 1000
    """Characters of one billed record."""
    limited: int = 900
    """The window while the service limits the rate."""
    seconds: float = 1.5
    busy_seconds: float = 2.0
    """The wait while the reader has that long to read: at 30 tokens/s 8 checks of 400 tokens, not 10."""
    limited_seconds: float = 10.0
    """The wait while the service limits the rate."""
    reading: float = 20.0
    """Reading speed, in characters per second."""

    @classmethod
    def with_holdback(cls, hold: int) -> WindowTiming:
        """Build the timing for a number of characters held back, which every window exceeds."""
        default = cls()
        return cls(tuple(size for size in default.windows if size > hold), hold)

    def wait_seconds(self, unread: float, *, limited: bool) -> float:
        """Return the seconds a text waits while the reader still has `unread` characters to read."""
        if limited:
            return self.limited_seconds
        return self.busy_seconds if unread >= self.reading * self.seconds else self.seconds

    def window(self, number: int, *, limited: bool) -> int:
        """Return the characters of the stream's window of that number, counted from 0."""
        if limited:
            return min(self.limited, self.record - self.holdback)
        return self.windows[min(number, len(self.windows) - 1)]


@dataclass(frozen=True, slots=True)
class OutputFilter:
    """The filter of the answers of one deployment."""

    ensemble: ModeratorEnsemble
    side: FilterSide
    name: str
    """The deployment's name, for the log."""
    fail_open: bool = False
    """Send text that could not be checked."""
    annotate: bool = False
    """Send the results of text that passes too."""
    asynchronous: bool = False
    """Send text at once and check it meanwhile."""
    timing: WindowTiming = WindowTiming()

    @property
    def withholds(self) -> bool:
        """True if no text is sent before its verdict, so that a failure before the first is a refusal."""
        return not (self.fail_open or self.asynchronous)

    async def judge(self, text: str, *, patience: float = 0.0) -> Decision:
        """Return the decision on a text.

        When the rate is limited, the check is repeated after a Retry-After of at most `patience` seconds.
        """
        verdict = await self.ensemble.judge(text, self.side.checks)
        for _ in range(MAX_RETRIES if patience else 0):
            failure = verdict.failure
            if failure is None or not failure.limited or failure.retry_after > patience:
                break
            await asyncio.sleep(failure.retry_after)
            verdict = await self.ensemble.judge(text, self.side.checks)
        decision = self.side.judge(verdict)
        if decision.blocked:
            log.warning(
                "Filtered output: deployment=%s found=%s hash=%s", self.name, decision.reasons, digest(text)
            )
        elif verdict.failure:
            log.warning("Unchecked output: deployment=%s: %s", self.name, verdict.failure.message)
        return decision

    def blocking_failure(self, decision: Decision) -> SafetyUnavailable | None:
        """Return the failure for which a text is withheld, None if it was checked or fails open."""
        return None if self.fail_open else decision.verdict.failure

    def annotations(self, verdict: Verdict) -> list[FilterResult]:
        """Return the results sent with a text that passes: none, unless configured or a check failed."""
        if not (self.annotate or verdict.failure):
            return []
        return [FilterResult(self.side.judge(verdict).results)]


def blocked_ending(decision: Decision, usage: Usage) -> tuple[FilterResult, Finish]:
    """Return the last events of a blocked answer: the findings, annotations or not, and the finish."""
    return FilterResult(decision.results), Finish(FinishReason.CONTENT_FILTER, usage)


def failed_ending(failure: SafetyUnavailable, usage: Usage) -> tuple[FilterResult, Finish]:
    """Return the last events of a stream that could not be checked further."""
    error = {"code": "content_filter_error", "message": failure.message}
    result = FilterResult({"error": error}, failed=True, retry_after=failure.retry_after)
    return result, Finish(FinishReason.CONTENT_FILTER, usage)


async def filter_whole(
    events: Events, output_filter: OutputFilter, usage_so_far: Callable[[], Usage]
) -> Events:
    """Yield the events if their text passes, else the findings and `Finish(CONTENT_FILTER)` alone.

    Raises `SafetyUnavailable` when a moderator failed, nothing else blocks the text, and the filter does not
    fail open.
    """
    buffer, finish = EventBuffer(), None
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Finish):
                finish = event
            else:
                buffer.push(event)
    decision = await output_filter.judge(buffer.text)
    passed: tuple[Event, ...]
    if decision.blocked:
        passed = blocked_ending(decision, finish.usage if finish else usage_so_far())
    elif failure := output_filter.blocking_failure(decision):
        raise failure
    else:
        annotations = output_filter.annotations(decision.verdict)
        passed = (*buffer.take(len(buffer.text)), *annotations, *([finish] if finish else []))
    for event in passed:
        yield event
