"""Lines, goals and what is said about them."""

from __future__ import annotations

import pytest

from benchmarks.measure import Spread
from benchmarks.table import Goal, Line, Report

TWO, THREE = Spread(2, 1, 3), Spread(3, 2, 4)


@pytest.mark.parametrize(
    ("line", "goal", "verdict"),
    [
        (Line("x", TWO, " s", goal=Goal(3, " s")), "at most 3 s", "met"),
        (Line("x", TWO, " ms", scale=1e3, goal=Goal(3, " ms")), "at most 3 ms", "missed"),
        (Line("x", TWO, " s", ratio=THREE, goal=Goal(2.5)), "at most 2.5", "missed"),
        (Line("x", TWO, " s", ratio=THREE, goal=Goal(2.5, least=True)), "at least 2.5", "met"),
    ],
)
def test_a_goal_is_for_the_ratio_where_there_is_one(line: Line, goal: str, verdict: str) -> None:
    assert line.cells()[-2:] == (goal, verdict)


def test_a_report_is_a_table_with_sentences_behind_it() -> None:
    *rows, note = Report([Line("x", TWO, " s", ratio=THREE)], ["Said."]).markdown()
    assert rows[-1] == "| x | 2 s (1 to 3) | 3 (2 to 4) |  |  |"
    assert note == "\nSaid."
