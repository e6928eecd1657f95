"""What a benchmark reports: lines of a table, and sentences about what it left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.measure import Spread

HEAD = ("measured", "median (quartiles)", "ratio (quartiles)", "goal", "")


@dataclass(frozen=True, slots=True)
class Goal:
    """A number that a median must not exceed, or where `least` is set must reach."""

    number: float
    unit: str = ""
    least: bool = False

    def verdict(self, median: float) -> str:
        met = median >= self.number if self.least else median <= self.number
        return "met" if met else "missed"

    def __str__(self) -> str:
        return f"{'at least' if self.least else 'at most'} {self.number:g}{self.unit}"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing measured; the goal is for the ratio where there is one, else for the value."""

    what: str
    value: Spread | None = None
    unit: str = ""
    scale: float = 1
    ratio: Spread | None = None
    goal: Goal | None = None

    def cells(self) -> tuple[str, ...]:
        value = self.value.text(self.unit, self.scale) if self.value else ""
        ratio = self.ratio.text() if self.ratio else ""
        goal, verdict = (str(self.goal), self._verdict(self.goal)) if self.goal else ("", "")
        return self.what, value, ratio, goal, verdict

    def _verdict(self, goal: Goal) -> str:
        judged, scale = (self.ratio, 1.0) if self.ratio else (self.value, self.scale)
        assert judged is not None, f"{self.what} has a goal and no number"
        return goal.verdict(judged.median * scale)


@dataclass(frozen=True, slots=True)
class Report:
    """What came out of one benchmark."""

    lines: Sequence[Line] = ()
    notes: Sequence[str] = field(default_factory=tuple)

    def markdown(self) -> Iterator[str]:
        if self.lines:
            yield from _rows([HEAD, ("---",) * len(HEAD), *(line.cells() for line in self.lines)])
        for note in self.notes:
            yield f"\n{note}"


def _rows(table: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in table:
        yield f"| {' | '.join(row)} |"
