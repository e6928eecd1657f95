"""Turns, medians and ratios."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.measure import Spread, by_turns, timed


def test_every_subject_has_its_turn_in_every_round_and_the_order_changes() -> None:
    turns: list[str] = []

    def subject(name: str) -> Callable[[], int]:
        def turn() -> int:
            turns.append(name)
            return len(turns)

        return turn

    measured = by_turns({name: subject(name) for name in "abc"}, rounds=20, warmups=1)
    rounds = ["".join(turns[start : start + 3]) for start in range(0, len(turns), 3)]
    assert len(rounds) == 21
    assert {"".join(sorted(one)) for one in rounds} == {"abc"}
    assert len(set(rounds)) > 3
    assert all(len(numbers) == 20 and min(numbers) > 3 for numbers in measured.values())


def test_a_ratio_is_taken_within_each_round() -> None:
    ratio = Spread.ratio([2.0, 30.0, 400.0], to=[1.0, 10.0, 100.0])
    assert (ratio.low, ratio.median, ratio.high) == (2.5, 3.0, 3.5)


@pytest.mark.parametrize(
    ("number", "text"), [(0.01234, "0.0123"), (1.456, "1.46"), (12.34, "12.3"), (1234.5, "1234")]
)
def test_three_digits_are_written(number: float, text: str) -> None:
    assert Spread(number, number, number).text(" s") == f"{text} s ({text} to {text})"


def test_the_time_of_many_calls_is_that_of_one() -> None:
    calls: list[None] = []
    assert 0 < timed(lambda: calls.append(None), times=5)() < 1
    assert len(calls) == 5
