"""Moderators of tests, with configured delays and failures, and streams for them to check."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from inference.contracts import Event, FilterResult, Finish, FinishReason, HarmCategory, Text, Usage
from inference.errors import SafetyUnavailable
from inference.safety.moderator import ALL_CATEGORIES, ModeratorEnsemble
from inference.safety.output_filter import OutputFilter, WindowTiming
from inference.safety.policy import FilterAction, FilterRule, FilterSide
from inference.safety.verdict import Detection, FilterChecks, Verdict

if TYPE_CHECKING:
    from inference.contracts import ImageArray

STOP = Finish(FinishReason.STOP, Usage(5, 7))
SPENT = Usage(5, 3)
MEDIUM = FilterSide({category: FilterRule(4, FilterAction.BLOCK) for category in HarmCategory})
BAD = Verdict({**dict.fromkeys(HarmCategory, 0), HarmCategory.VIOLENCE: 4})


class FakeModerator:
    """A `Moderator` that flags texts with a phrase and records its calls."""

    name = "judge"
    categories = ALL_CATEGORIES
    detections = frozenset(Detection)
    checks_images = True

    def __init__(
        self,
        phrase: str = "\0",
        *,
        delays: Iterable[float] = (),
        failures: Iterable[SafetyUnavailable | None] = (),
        bad: Verdict = BAD,
    ) -> None:
        self.phrase = phrase
        self.texts: list[str] = []
        self.checks: list[FilterChecks] = []
        self.limited = False
        self.bad = bad
        self._delays: Iterator[float] = iter(delays)
        self._failures = iter(failures)

    async def judge(self, text: str, checks: FilterChecks) -> Verdict:
        self.texts.append(text)
        self.checks.append(checks)
        await asyncio.sleep(next(self._delays, 0.0))
        if (failure := next(self._failures, None)) is not None:
            raise failure
        return self.bad if self.phrase in text else Verdict(dict.fromkeys(checks.categories, 0))

    async def judge_image(self, image: ImageArray, checks: FilterChecks) -> Verdict:
        return await self.judge(str(image.shape), checks)

    async def aclose(self) -> None:
        """Do nothing: no connection is open."""


def output_filter_of(
    judge: FakeModerator,
    side: FilterSide = MEDIUM,
    *,
    pace: WindowTiming = WindowTiming(),  # noqa: B008  it is frozen
    fail_open: bool = False,
    annotate: bool = False,
    asynchronous: bool = False,
) -> OutputFilter:
    return OutputFilter(
        ModeratorEnsemble([judge]),
        side,
        "tests",
        fail_open=fail_open,
        annotate=annotate,
        asynchronous=asynchronous,
        timing=pace,
    )


def spent() -> Usage:
    return SPENT


async def model_events(
    pieces: Sequence[str | Event], *, every: Callable[[int], float] = lambda _: 0.0
) -> AsyncGenerator[Event, None]:
    """Yield these pieces, each `every(number)` seconds after the one before it, and a finish."""
    for number, piece in enumerate(pieces):
        await asyncio.sleep(every(number))
        yield Text(piece) if isinstance(piece, str) else piece
    yield STOP


def shown(events: Iterable[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


def notes(events: Iterable[Event]) -> list[FilterResult]:
    return [event for event in events if isinstance(event, FilterResult)]
