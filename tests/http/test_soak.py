"""Clients that come and go: a part of the soak that `python -m benchmarks leaving` runs whole."""

from __future__ import annotations

from pathlib import Path

from tests.http.soak import LEAVING, soak


async def test_everything_is_free_after_clients_left_at_every_stage(tmp_path: Path) -> None:
    outcome = await soak(tmp_path, requests=800, leavers=160)
    assert outcome.faults == []
    assert outcome.requests == 800
    assert all(outcome.left[stage] > 20 for stage in LEAVING)
