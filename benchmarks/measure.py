"""Measuring by turns: the subjects take turns in one run, so that what slows the machine slows them all.

A ratio is taken within each round, between neighbours in time, and the median of the rounds' ratios is what
counts; the quartiles beside it say how noisy the machine was.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

Measured = TypeVar("Measured")


def by_turns(
    subjects: Mapping[str, Callable[[], Measured]], *, rounds: int, warmups: int = 1
) -> dict[str, list[Measured]]:
    """Return each subject's measurement in every round; a round's sequence is random.

    On a busy machine the system favours who comes after an idle neighbour, so no order may be kept.
    """
    random, order = Random(0), list(subjects)
    for name in order * warmups:
        subjects[name]()
    measured: dict[str, list[Measured]] = {name: [] for name in subjects}
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            measured[name].append(subjects[name]())
    return measured


def timed(action: Callable[[], object], *, times: int = 1) -> Callable[[], float]:
    """Return a subject: the seconds that one of so many calls takes."""

    def subject() -> float:
        start = time.perf_counter()
        for _ in range(times):
            action()
        return (time.perf_counter() - start) / times

    return subject


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some numbers, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread:
        low, median, high = statistics.quantiles(numbers, n=4, method="inclusive")
        return cls(median, low, high)

    @classmethod
    def ratio(cls, numbers: Sequence[float], to: Sequence[float]) -> Spread:
        """Return the spread of the quotients of measurements of the same round."""
        return cls.of([number / other for number, other in zip(numbers, to, strict=True)])

    def text(self, unit: str = "", scale: float = 1) -> str:
        median, low, high = (_digits(number * scale) for number in (self.median, self.low, self.high))
        return f"{median}{unit} ({low} to {high})"


def _digits(number: float) -> str:
    """Format three significant digits, and all digits before the point."""
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"
