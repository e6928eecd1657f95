"""The numbers of a load as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from inference.cli.load import Load, LoadAnswer

PERCENTS = (50, 90, 99)


def percentile(values: Sequence[float], percent: int) -> float:
    """By nearest rank: the smallest value that so many percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def report(load: Load) -> Iterator[str]:
    """Lines; of requests that were refused the reasons, most frequent first."""
    fine = [one for one in load.answered if one.refusal is None]
    yield f"{len(fine)} answers, {len(load.answered) - len(fine)} refused, {load.seconds:.1f} s"
    if fine:
        tokens = sum(one.tokens for one in fine)
        rate, answers = tokens / load.seconds, len(fine) / load.seconds
        yield f"{tokens} tokens, {rate:.1f} tokens/s in all, {answers:.2f} answers/s"
        yield ""
        yield f"{'':<28}" + "".join(f"{'p' + str(percent):>10}" for percent in PERCENTS)
        yield _row("time to first text, ms", [one.first * 1000 for one in fine])
        yield _row("whole answer, ms", [one.whole * 1000 for one in fine])
        yield _row("tokens/s of one stream", [_speed(one) for one in fine], slowest_last=True)
    refused = Counter(one.refusal for one in load.answered if one.refusal is not None)
    for reason, times in refused.most_common():
        yield f"refused {times} times: {reason}"


def _row(name: str, values: Sequence[float], *, slowest_last: bool = False) -> str:
    """Of a speed the percentiles are of its slowness: p99 is what all but one in a hundred exceed."""
    sign = -1 if slowest_last else 1
    signed = [sign * value for value in values]
    return f"{name:<28}" + "".join(f"{sign * percentile(signed, percent):>10.1f}" for percent in PERCENTS)


def _speed(one: LoadAnswer) -> float:
    return one.tokens / one.whole if one.whole else 0.0
