"""The progress of a fetch: the seconds that remain, and its text."""

from __future__ import annotations

from inference.blobs.progress import Progress


def test_the_remaining_seconds_follow_the_rate_within_bounds() -> None:
    now = [0.0]
    progress = Progress(100_000_000, clock=lambda: now[0])
    assert progress.remaining == 2
    progress.begin()
    now[0] = 5.0
    progress.count(20_000_000)
    assert progress.remaining == 20
    assert progress.text == "20 of 100 MB"
    now[0] = 500.0
    assert progress.remaining == 60
    progress.count(80_000_000)
    assert progress.remaining == 1
